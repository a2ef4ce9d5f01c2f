use super::super::part::tests::request;
use super::*;

fn requests() -> [Request; 3] {
    [
        request(Method::GET, "Items('A')", None),
        request(Method::PUT, "Items('B')", Some("{\"a\":1}")),
        request(Method::POST, "Items", Some("{}")),
    ]
}

#[test]
fn what_changes_something_stands_in_changesets_in_version_2() {
    let all = requests();
    let (v2, v4) = (Version::V2, Version::V4);
    let (one, alone) = (Item::One, |at| Item::Changeset(vec![at]));
    assert_eq!(items(&all, v2, false), [one(0), alone(1), alone(2)]);
    assert_eq!(items(&all, v4, false), [one(0), one(1), one(2)]);
    assert_eq!(items(&all[1..], v2, true), [Item::Changeset(vec![0, 1])]);
    assert_eq!(items(&all[1..], v4, true), [Item::Changeset(vec![0, 1])]);
}

#[test]
fn a_batch_is_written_as_the_protocol_shows_it() {
    let all = &requests()[..2];
    let text = write(all, &items(all, Version::V2, false), "b");
    assert_eq!(
        String::from_utf8(text).expect("UTF-8"),
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n\
         GET Items('A') HTTP/1.1\r\naccept: application/json\r\n\r\n\r\n\
         --b\r\nContent-Type: multipart/mixed; boundary=bc1\r\n\r\n\
         --bc1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 2\r\n\r\n\
         PUT Items('B') HTTP/1.1\r\naccept: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}\r\n\
         --bc1--\r\n--b--\r\n"
    );
}

/// As CAP's adapter for version 2 (1.15.10) answered a changeset of two, and one that failed, shortened.
const GOOD: &str = "--b\r\ncontent-type: multipart/mixed;boundary=c\r\n\r\n\
    --c\r\ncontent-type: application/http\r\ncontent-transfer-encoding: binary\r\ncontent-id: 2\r\n\r\n\
    HTTP/1.1 201 Created\r\ncontent-length: 9\r\ncontent-id: 2\r\n\r\n{\"d\":\r\n2}\r\n\
    --c\r\ncontent-type: application/http\r\ncontent-transfer-encoding: binary\r\ncontent-id: 1\r\n\r\n\
    HTTP/1.1 204 No Content\r\netag: W/\"7\"\r\ncontent-id: 1\r\n\r\n\r\n--c--\r\n--b--\r\n";
const BAD: &str = "--b\r\ncontent-type: application/http\r\ncontent-transfer-encoding: binary\r\ncontent-id: 2\r\n\r\n\
    HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 11\r\ndataserviceversion: 2.0\r\n\r\n\
    {\"error\":1}\r\n--b--";

fn check(text: &str, items: &[Item], expected: Option<&[Option<(u16, &str)>]>) {
    let kind = "multipart/mixed; charset=utf-8; Boundary=\"b\"";
    let read = read(kind, text.as_bytes(), items, 2).ok();
    let told = |part: &Option<Part>| {
        let part = part.as_ref()?;
        Some((
            part.status,
            String::from_utf8_lossy(&part.body).into_owned(),
        ))
    };
    let read: Option<Vec<_>> = read.map(|parts| parts.iter().map(told).collect());
    let expected = expected.map(|parts| {
        let told =
            |part: &Option<(u16, &str)>| part.map(|(status, body)| (status, body.to_owned()));
        parts.iter().map(told).collect::<Vec<_>>()
    });
    assert_eq!(read, expected, "{text}");
}

#[test]
fn a_changesets_answer_is_a_changeset_or_one_for_all() {
    let both = [Item::Changeset(vec![0, 1])];
    check(
        GOOD,
        &both,
        Some(&[Some((204, "")), Some((201, "{\"d\":\r\n2}"))]),
    );
    let failed = Some((400, "{\"error\":1}"));
    check(BAD, &both, Some(&[failed, failed]));
    let nameless = BAD.replace("content-id: 2\r\n", "");
    check(
        &nameless,
        &[Item::One(0), Item::One(1)],
        Some(&[failed, None]),
    );
}

#[test]
fn without_numbers_the_order_counts_and_nobody_knows_whose_is_missing() {
    let both = [Item::Changeset(vec![0, 1])];
    let bare = GOOD
        .replace("content-id: 1\r\n", "")
        .replace("content-id: 2\r\n", "");
    check(
        &bare,
        &both,
        Some(&[Some((201, "{\"d\":\r\n2}")), Some((204, ""))]),
    );
    let one = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--c--\r\n--b--\r\n";
    check(one, &both, Some(&[None, None]));
    check(
        &GOOD.replace("content-id: 1", "content-id: 2"),
        &both,
        Some(&[None, None]),
    );
}

#[test]
fn what_broke_off_or_was_not_asked_for_is_no_answer() {
    let both = [Item::Changeset(vec![0, 1])];
    check(&GOOD[..GOOD.len() - 8], &both, None);
    check(GOOD, &[Item::One(0)], None);
    check(GOOD, &[Item::Changeset(vec![0])], None);
    check("<html>", &both, None);
    assert!(read("application/json", GOOD.as_bytes(), &both, 2).is_err());
}

#[test]
fn answers_that_name_their_requests_are_known_by_that_and_not_by_their_order() {
    let piece = |id: &str, status: u16| {
        format!("--b\r\nContent-Type: application/http\r\n{id}\r\nHTTP/1.1 {status} X\r\n\r\n\r\n")
    };
    let named = |id: usize, status| piece(&format!("Content-ID: {id}\r\n"), status);
    let both = [Item::One(0), Item::One(1)];
    let (first, second) = (Some((204, "")), Some((400, "")));
    for (answers, expected) in [
        (named(2, 400) + &named(1, 204), [first, second]),
        (named(2, 400), [None, second]),
        // Numbers that are none of ours say nothing: the order does.
        (named(1, 204) + &named(1, 400), [first, second]),
        (named(8, 204) + &named(9, 400), [first, second]),
        (piece("", 204) + &named(1, 400), [first, second]),
    ] {
        check(&format!("{answers}--b--"), &both, Some(&expected));
    }
    let changeset = |id: usize, status: u16| {
        format!(
            "--b\r\nContent-Type: multipart/mixed; boundary=c{id}\r\n\r\n{}--c{id}--\r\n",
            named(id, status).replace("--b", &format!("--c{id}"))
        )
    };
    let alone = [Item::Changeset(vec![0]), Item::Changeset(vec![1])];
    let answers = changeset(2, 400) + &changeset(1, 204) + "--b--";
    check(&answers, &alone, Some(&[first, second]));
}

#[test]
fn more_headers_than_an_answer_may_have_are_left_out() {
    let many: String = (0..40_000).map(|n| format!("h{n}: v\r\n")).collect();
    let text = format!(
        "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 X\r\n{many}\r\n\r\n--b--"
    );
    check(&text, &[Item::One(0)], Some(&[Some((204, "")), None]));
}
