//! Answers of a service that the agent asks: how many of their records a second, and the memory that a large one takes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use dray_tests::counter::Counter;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::wms::Asked;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Arguments;
use crate::load;
use crate::probe::CONNECTED;
use crate::row::{Figure, Row, mib, thousands};

/// Records of a page.
const PAGE: u64 = 10_000;
/// What the large answer has at least.
const LARGE_BYTES: usize = 50_000_000;
const LIMIT: Duration = Duration::from_secs(300);

const ASKED: Asked<'_> = Asked {
    action: "urn:example:wms/ListMovements",
    every: "1h",
    record: "w:Movement",
    watermark: "start = \"2026-01-01T00:00:00Z\", overlap = \"5m\"",
    page: PAGE,
};

const MAPPING: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "SKU"
[flow.mapping.fields]
movement_number = { from = "MOVE_NO", required = true }
item_number = "SKU"
quantity = "QTY"
moved_at = { from = "TS", format = "iso8601" }
"#;

const REQUEST: &str = r#"<ListMovements xmlns="urn:example:wms"><Since>{{ watermark }}</Since><Page>{{ token }}</Page></ListMovements>"#;

/// Pages one after another, with a key and a watermark.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let records = arguments.records.next_multiple_of(PAGE);
    let pages = records / PAGE;
    let answers = (0..pages).map(|page| {
        let next = (page + 1 < pages).then_some(page + 1);
        answer(page * PAGE, PAGE, next)
    });
    let asked = Requests::start(folder, answers.collect())?;
    let began = Instant::now();
    asked.go.add_permits(1);
    let waited = asked.arrive(records)?;
    let mut row = Row::of(
        format!(
            "{} records of SOAP answers of {} each, by key and watermark",
            thousands(records),
            thousands(PAGE)
        ),
        records,
    );
    row.count_in(&asked.site)?;
    let took = (waited - began).as_secs_f64();
    row.headline = records as f64 / took;
    row.at_least("", Figure::new(row.headline, 0, "records/s"), 50_000.0);
    row.judge_memory();
    Ok(row)
}

/// One answer that is large.
pub(crate) fn large(folder: &Path, _: &Arguments) -> anyhow::Result<Row> {
    let records = (LARGE_BYTES / record(0).len()) as u64 + 1;
    let asked = Requests::start(folder, vec![answer(0, records, None)])?;
    let agent = asked.site.agent.as_ref().context("it was started")?;
    let idle = agent.usage()?.resident_bytes;
    asked.go.add_permits(1);
    asked.arrive(records)?;
    let mut row = Row::of(
        format!("one SOAP answer of 50 MB, {} records", thousands(records)),
        records,
    );
    row.count_in(&asked.site)?;
    let peak = agent.usage()?.peak_bytes;
    let above = Figure::new(mib(peak.saturating_sub(idle)), 0, "MiB");
    row.at_most("agent's peak above idle", above, 64.0);
    Ok(row)
}

fn record(number: u64) -> String {
    format!(
        "<Movement><Id>MV{number:010}</Id><Sku>SKU-{:06}</Sku><Quantity>{}.5</Quantity><MovedAt>2026-03-01T{:02}:{:02}:{:02}Z</MovedAt></Movement>",
        number % 50_000,
        number % 1_000,
        number / 360_000 % 24,
        number / 6_000 % 60,
        number / 100 % 60,
    )
}

fn answer(first: u64, records: u64, next: Option<u64>) -> Bytes {
    let mut text = String::from(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><ListMovementsResponse xmlns="urn:example:wms">"#,
    );
    for number in first..first + records {
        text.push_str(&record(number));
    }
    if let Some(next) = next {
        let _ = write!(text, "<NextPage>{next}</NextPage>");
    }
    text.push_str("</ListMovementsResponse></s:Body></s:Envelope>");
    text.into()
}

/// A site whose agent asks, and the service.
struct Requests {
    site: Site,
    counter: Counter,
    /// The first answer waits for a permit.
    go: Arc<Semaphore>,
}

impl Requests {
    /// Everything is connected and the first answer is waited for.
    fn start(folder: &Path, answers: Vec<Bytes>) -> anyhow::Result<Self> {
        let counter = Counter::start()?;
        let go = Arc::new(Semaphore::new(0));
        let address = serve(answers, Arc::clone(&go))?;
        fs::write(folder.join("list.xml"), REQUEST)?;
        let flow = FlowSpec {
            name: "answers".into(),
            source: ASKED
                .table()
                .replace("URL", &format!("http://{address}/movements"))
                .replace("FOLDER", &folder.display().to_string()),
            format: String::new(),
            mapping: MAPPING.into(),
            timeliness: "normal",
        };
        let targets = load::target(&counter.url(), 1_000, "");
        let site = Site::start(folder, &[flow], &targets)?;
        let agent = site.agent.as_ref().context("it was started")?;
        agent.wait_log(CONNECTED)?;
        load::pause(Duration::from_secs(2));
        Ok(Self { site, counter, go })
    }

    fn arrive(&self, records: u64) -> anyhow::Result<Instant> {
        let arrived = self.counter.wait(records, LIMIT);
        let at = Instant::now();
        let repeats = self.counter.with(|counts| counts.repeats);
        ensure!(
            arrived == records && repeats == 0,
            "{arrived} of {records} arrived, {repeats} of them twice"
        );
        Ok(at)
    }
}

/// Answers with the page that a request's token names, the first without one.
fn serve(answers: Vec<Bytes>, go: Arc<Semaphore>) -> anyhow::Result<std::net::SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let answers = Arc::new(answers);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a bound listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, go) = (Arc::clone(&answers), Arc::clone(&go));
                tokio::spawn(async move {
                    let service = service_fn(|request| page(request, &answers, &go));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    });
    Ok(address)
}

async fn page(
    request: Request<Incoming>,
    answers: &[Bytes],
    go: &Semaphore,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let token = body
        .split_once("<Page>")
        .and_then(|(_, rest)| rest.split_once('<'));
    let number = token.and_then(|(token, _)| token.parse().ok()).unwrap_or(0);
    if number == 0 {
        let _ = go.acquire().await;
    }
    let answer = answers.get(number).cloned().unwrap_or_default();
    let mut response = Response::new(Full::new(answer));
    let media = hyper::header::HeaderValue::from_static("text/xml; charset=utf-8");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, media);
    Ok(response)
}
