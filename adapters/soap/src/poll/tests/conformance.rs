//! The suite that every source runs, over pages of a service that grows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dray_adapter::Source;
use dray_adapter::conformance::{self, Place};

use super::Flow;
use super::messages::{Movement, answer, movement};
use super::service::{Asked, Served, Service};

/// What a service has, a page a unit.
type Units = Arc<Mutex<Vec<Vec<Movement>>>>;

const REQUEST: &str = "<w:List xmlns:w=\"urn:example:wms\"><Since>{{ watermark }}</Since><Token>{{ token }}</Token></w:List>";
const SETTINGS: &str =
    "[watermark]\ncolumn = 'SEQ'\nstart = '0'\n[pages]\nby = 'token'\npath = 'w:Next'\n";

struct Pages {
    units: Units,
    flow: Flow,
    _service: Service,
    added: u64,
}

impl Pages {
    fn new(key: &str) -> Self {
        let units = Units::default();
        let served = Arc::clone(&units);
        let service = Service::new(move |asked| serve(asked, &served.lock().expect("no panic")));
        Self {
            units,
            flow: Flow::new(&service, REQUEST, &format!("{key}\n{SETTINGS}")),
            _service: service,
            added: 0,
        }
    }
}

/// The page of a token, or the first one behind the watermark.
fn serve(asked: &Asked, units: &[Vec<Movement>]) -> Served {
    let since: u64 = asked.value("Since").parse().expect("a number");
    let is_new = |unit: &Vec<Movement>| unit.last().is_some_and(|last| last.seq > since);
    let page = match asked.value("Token") {
        "" => units.iter().position(is_new).unwrap_or(units.len()),
        token => token.parse().expect("a page"),
    };
    let next = Some(page + 1).filter(|next| *next < units.len());
    let next = next.map_or_else(String::new, |next| next.to_string());
    // What stands around the records differs with each answer, as it does in life.
    let around = format!("<w:Next>{next}</w:Next><w:ServedFor>{since}</w:ServedFor>");
    let none = Vec::new();
    Served::new(200, answer(units.get(page).unwrap_or(&none), &around))
}

impl Place for Pages {
    fn source(&self) -> Box<dyn Source> {
        Box::new(self.flow.source().hurried(Duration::from_millis(1), 2))
    }

    fn add(&mut self) -> Option<Vec<String>> {
        let size = [2, 5, 1].get(usize::try_from(self.added).ok()?)?;
        let first = 1 + self
            .units
            .lock()
            .expect("no panic")
            .iter()
            .map(Vec::len)
            .sum::<usize>() as u64;
        let mut unit: Vec<Movement> = (first..first + size).map(movement).collect();
        if self.added == 1 {
            unit[3].id.clear();
        }
        let shown = unit
            .iter()
            .zip(3..)
            .map(|(movement, line)| match movement.id.as_str() {
                "" => format!(":{line}! decode"),
                id => format!(":{line}: {id}|{}|{}", movement.seq % 7, movement.seq),
            });
        let shown = shown.collect();
        self.units.lock().expect("no panic").push(unit);
        self.added += 1;
        Some(shown)
    }
}

#[test]
fn conforms() {
    conformance::run(|| Pages::new("key = 'ID'"));
}
