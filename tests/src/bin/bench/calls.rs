//! Calls over SOAP that the agent answers, each once its record is on the disk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use dray_tests::counter::Counter;
use dray_tests::daemon::{Daemon, program};
use dray_tests::site::{FlowSpec, Site, free_port};
use dray_tests::wms;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Arguments;
use crate::load;
use crate::row::{Figure, Row, thousands};

/// Callers, each with a connection that it keeps.
const CALLERS: u64 = 32;
/// Calls a second of the latency's half.
const PACE: u64 = 1_000;
/// How long the events may take to the target once all calls are answered.
const LIMIT: Duration = Duration::from_secs(120);

const MAPPING: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "SKU"
[flow.mapping.fields]
movement_number = { from = "MOVE_NO", required = true }
item_number = "SKU"
location = "LOC"
quantity = "QTY"
"#;

/// As fast as they are answered, with the whole chain and by itself; and [`PACE`] a second. The agent has one core of its own;
/// callers, collector and target share the rest, and all of them the disk.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let counter = Counter::start()?;
    let port = free_port()?;
    let flow = FlowSpec {
        name: "calls".into(),
        source: wms::bare_endpoint().replace("PORT", &port.to_string()),
        format: String::new(),
        mapping: MAPPING.into(),
        timeliness: "normal",
    };
    let mut site = Site::lay_out(folder, &[flow], &load::target(&counter.url(), 1_000, ""))?;
    site.start_collector()?;
    site.enrol()?;
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(program("dray-agent")?);
    let agent = Daemon::start_with(pinned, "dray-agent", &site.agent_config())?;
    agent.wait_log("\"message\":\"listening\"")?;
    site.agent = Some(agent);
    let mut calls = Calls {
        port,
        made: 0,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };

    let (fast, paced) = (arguments.calls, PACE * arguments.seconds);
    // The first calls warm up.
    let warm = fast.div_ceil(20);
    let all = warm + 2 * (fast + paced);
    calls.make(warm, None)?;
    let (in_the_chain, _) = calls.rate(fast, &site)?;
    let waited_in_the_chain = calls.make(paced, Some(Instant::now()))?;
    let work = format!(
        "{} SOAP calls ({} B) over {CALLERS} connections to an agent on one core, each durable before its answer, while the collector is away, and then {} a second for {} s; \
         as many of both with the whole chain, whose collector syncs on the same disk",
        thousands(fast),
        message(0).len(),
        thousands(PACE),
        arguments.seconds
    );
    let mut row = Row::of(work, all);
    let collector = site.collector.as_mut().context("it was started")?;
    row.count_collector(Some(collector))?;
    // Not killed: what was being delivered would come again, under the same id, and this target counts that.
    collector.terminate()?;
    let waited = calls.make(paced, Some(Instant::now()))?;
    let (alone, cpu_us) = calls.rate(fast, &site)?;
    site.start_collector()?;
    let arrived = counter.wait(all, LIMIT);
    let repeats = counter.with(|counts| counts.repeats);
    ensure!(
        arrived == all && repeats == 0,
        "{arrived} of {all} arrived, {repeats} of them twice"
    );

    row.count_in(&site)?;
    row.headline = alone;
    row.at_least("", Figure::new(alone, 0, "calls/s"), 10_000.0);
    row.say(format!("{cpu_us:.0} µs of the agent's CPU a call"));
    row.say(format!(
        "p50 {:.1} ms",
        Figure::quantile(&waited, 0.5).value
    ));
    row.at_most("p99", Figure::quantile(&waited, 0.99), 25.0);
    row.say(format!(
        "with the whole chain {} calls/s, p50 {:.1} ms, p99 {:.1} ms",
        thousands(in_the_chain as u64),
        Figure::quantile(&waited_in_the_chain, 0.5).value,
        Figure::quantile(&waited_in_the_chain, 0.99).value
    ));
    row.judge_memory();
    Ok(row)
}

/// The callers, and how many calls they made.
struct Calls {
    port: u16,
    made: u64,
    runtime: tokio::runtime::Runtime,
}

impl Calls {
    fn make(&mut self, count: u64, from: Option<Instant>) -> anyhow::Result<Histogram<u64>> {
        let numbers = self.made..self.made + count;
        self.made += count;
        self.runtime.block_on(call(self.port, numbers, from))
    }

    /// So many as fast as they are answered: calls a second, and the agent's CPU of each in microseconds.
    fn rate(&mut self, count: u64, site: &Site) -> anyhow::Result<(f64, f64)> {
        let agent = site.agent.as_ref().context("it was started")?;
        let before = agent.usage()?;
        let began = Instant::now();
        self.make(count, None)?;
        let took = began.elapsed().as_secs_f64();
        let cpu_s = agent.usage()?.cpu_s - before.cpu_s;
        Ok((count as f64 / took, cpu_s * 1e6 / count as f64))
    }
}

fn message(number: u64) -> String {
    format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><PutMovements xmlns="urn:example:wms"><BatchNo>B{number:010}</BatchNo><Movement><Id>MV{number:010}</Id><Sku>SKU-{:06}</Sku><Location>A-01-{:02}</Location><Quantity>{}.5</Quantity></Movement></PutMovements></s:Body></s:Envelope>"#,
        number % 50_000,
        number % 97,
        number % 1_000
    )
}

/// Makes the calls of these numbers; every one must be taken. `from`: [`PACE`] a second from then on. The times are from when a call
/// was due, in microseconds.
async fn call(
    port: u16,
    numbers: std::ops::Range<u64>,
    from: Option<Instant>,
) -> anyhow::Result<Histogram<u64>> {
    let mut callers = tokio::task::JoinSet::new();
    let first = numbers.start;
    for caller in 0..CALLERS {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (mut line, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let own = numbers
            .clone()
            .skip(caller as usize)
            .step_by(CALLERS as usize);
        callers.spawn(async move {
            let mut waited = Histogram::<u64>::new(3)?;
            for number in own {
                let due = match from {
                    Some(from) => {
                        let after = Duration::from_secs(1) * (number - first) as u32;
                        let due = from + after / PACE as u32;
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                    // Not even a sleep that is over: the timer rounds up to a whole millisecond.
                    None => Instant::now(),
                };
                one(&mut line, number).await?;
                waited.record((due.elapsed().as_micros() as u64).max(1))?;
            }
            anyhow::Ok(waited)
        });
    }
    let mut waited = Histogram::new(3)?;
    while let Some(caller) = callers.join_next().await {
        waited.add(caller??)?;
    }
    Ok(waited)
}

async fn one(line: &mut SendRequest<Full<Bytes>>, number: u64) -> anyhow::Result<()> {
    let request = Request::post("/wms")
        .header("host", "127.0.0.1")
        .header("content-type", "text/xml; charset=utf-8")
        .body(Full::new(Bytes::from(message(number))))?;
    line.ready().await?;
    let answer = line.send_request(request).await?;
    let status = answer.status();
    let said = answer.into_body().collect().await?.to_bytes();
    ensure!(
        status == 200,
        "a call was answered {status}: {}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}
