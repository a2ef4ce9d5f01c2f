use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A line, its agent's end and its collector's end.
fn joined() -> (Line, TcpStream, TcpStream, TcpListener) {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let line = Line::start(collector.local_addr().expect("an address").port()).expect("a line");
    let near = dial(&line);
    let far = collector.accept().expect("carried on").0;
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    (line, near, far, collector)
}

fn dial(line: &Line) -> TcpStream {
    let near = TcpStream::connect(("127.0.0.1", line.port())).expect("taken");
    near.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    near
}

fn say(from: &mut TcpStream, to: &mut TcpStream, what: &[u8]) {
    from.write_all(what).expect("said");
    let mut heard = vec![0; what.len()];
    to.read_exact(&mut heard).expect("heard");
    assert_eq!(heard, what);
}

#[test]
fn it_passes_both_ways_and_a_reset_reaches_both_ends() {
    let (line, mut near, mut far, _collector) = joined();
    say(&mut near, &mut far, b"hello");
    say(&mut far, &mut near, b"welcome");
    assert_eq!((line.passed(), line.connections()), (12, 1));
    line.reset();
    for end in [&mut near, &mut far] {
        let error = end.read(&mut [0; 1]).expect_err("it is reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn silence_closes_nothing_and_a_new_connection_is_carried_once_it_speaks() {
    let (line, mut near, mut far, collector) = joined();
    say(&mut near, &mut far, b"hello");
    line.go_silent();
    let mut second = dial(&line);
    second.write_all(b"again").expect("taken by the kernel");
    assert!(line.wait_connections(PATIENCE, 2));
    near.write_all(b"lost").expect("taken by the kernel");
    line.speak();
    let mut heard = [0; 5];
    let mut carried = collector.accept().expect("carried on").0;
    carried.read_exact(&mut heard).expect("heard");
    assert_eq!(&heard, b"again");
    far.set_nonblocking(true).expect("an option");
    let error = far
        .read(&mut heard)
        .expect_err("the first one stays silent");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_cut_comes_after_just_so_many_bytes_and_the_next_connection_passes() {
    let (line, mut near, mut far, collector) = joined();
    line.cut_after(3);
    near.write_all(b"hello").expect("said");
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).expect("an end, not a reset");
    assert_eq!(heard, b"hel");
    assert!(line.wait_cut(PATIENCE));
    let mut near = dial(&line);
    let mut far = collector.accept().expect("carried on").0;
    say(&mut near, &mut far, b"hello");
}

#[test]
fn a_narrow_line_carries_its_bytes_a_second_and_no_more() {
    let (line, mut near, mut far, _collector) = joined();
    line.limit(Some(20_000));
    let began = Instant::now();
    say(&mut near, &mut far, &[7; 10_000]);
    assert!(began.elapsed() >= Duration::from_millis(400));
    line.limit(None);
    say(&mut near, &mut far, &[7; 10_000]);
}
