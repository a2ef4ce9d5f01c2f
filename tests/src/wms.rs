//! Sources that a warehouse calls or that ask it: what the scenarios and the bench configure for `PutMovements` and `ListMovements`.
//!
//! Each is the text of a `[flow.source]` table. `PORT` in it stands for the port that is listened at, `FOLDER` for the folder of its files,
//! `URL` for the service that is asked.

/// How a message of movements is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The Body holds one element of a schema.
    Document,
    /// It holds a call, whose parts have no namespace.
    Rpc,
}

/// An endpoint with a description and an answer of its own, that takes shipments too where calls are in document style.
/// `settings`: lines of the table besides these.
#[must_use]
pub fn endpoint(style: Style, settings: &str) -> String {
    let (record, key, shipments) = match style {
        Style::Document => ("w:Movement", "w:BatchNo", SHIPMENTS),
        Style::Rpc => ("Movements/w:Movement", "BatchNo", ""),
    };
    let own = "action = \"urn:example:wms/PutMovements\"\nresponse = \"FOLDER/answer.xml\"";
    // The number stands above the records, as many elements up as lead down to them.
    let up = "../".repeat(record.split('/').count());
    let settings = format!("wsdl = \"FOLDER/wms.wsdl\"\n{settings}");
    let table = listening(&settings, record, key, own);
    format!("{table}TS = \"w:MovedAt\"\nBATCH = \"{up}{key}\"\n{shipments}")
}

/// An endpoint with nothing that it can do without: what it costs is what calls cost.
#[must_use]
pub fn bare_endpoint() -> String {
    listening("", "w:Movement", "w:BatchNo", "")
}

/// Ends with the columns of the movements.
fn listening(settings: &str, record: &str, key: &str, own: &str) -> String {
    format!(
        r#"kind = "soap-receive"
listen = "127.0.0.1:PORT"
path = "/wms"
namespaces = {{ w = "urn:example:wms" }}
{settings}
[[flow.source.operation]]
name = "PutMovements"
root = "w:PutMovements"
record = "{record}"
key = "{key}"
{own}
[flow.source.operation.fields]
MOVE_NO = "w:Id"
SKU = "w:Sku"
LOC = "w:Location"
QTY = "w:Quantity"
"#
    )
}

const SHIPMENTS: &str = r#"[[flow.source.operation]]
name = "ReportShipment"
root = "w:ReportShipment"
one_way = true
record = "w:Line"
key = "w:ShipNo"
fields = { SHIP_NO = "../w:ShipNo", LINE = "w:LineNo" }
"#;

/// A service that is asked for movements by their time, page by page.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// By which it knows the request.
    pub action: &'a str,
    /// Between two requests.
    pub every: &'a str,
    /// Where movements are in its answer.
    pub record: &'a str,
    /// Settings of the watermark besides its column.
    pub watermark: &'a str,
    /// Movements of a page.
    pub page: u64,
}

impl Asked<'_> {
    /// The table. `FOLDER/list.xml` is the request.
    #[must_use]
    pub fn table(&self) -> String {
        let Self {
            action,
            every,
            record,
            watermark,
            page,
        } = self;
        format!(
            r#"kind = "soap-poll"
url = "URL"
action = "{action}"
every = "{every}"
request = "FOLDER/list.xml"
namespaces = {{ w = "urn:example:wms" }}
root = "w:ListMovementsResponse"
record = "{record}"
key = "MOVE_NO"
watermark = {{ column = "TS", {watermark} }}
pages = {{ by = "token", path = "w:NextPage", size = {page} }}
[flow.source.fields]
MOVE_NO = "w:Id"
SKU = "w:Sku"
QTY = "w:Quantity"
TS = "w:MovedAt"
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the agent makes of it.
    fn check(source: &str, mapping: &str) {
        let source = source
            .replace("PORT", "1")
            .replace("FOLDER", "/srv")
            .replace("URL", "http://wms.test/");
        let text = format!(
            "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"\n[[flow]]\nname = \"wms\"\n[flow.source]\n{source}\n\
             [[flow.mapping]]\nbody = \"generic\"\nkey = \"{mapping}\"\nfields = \"*\"\n"
        );
        let read = dray_agent::config::Config::parse(std::path::Path::new("agent.toml"), &text);
        read.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    #[test]
    fn the_agent_takes_every_table() {
        check(&endpoint(Style::Document, ""), "BATCH");
        let limits = "limits = { connections_max = 9 }";
        check(&endpoint(Style::Rpc, limits), "BATCH");
        assert!(endpoint(Style::Rpc, "").contains("BATCH = \"../../BatchNo\""));
        check(&bare_endpoint(), "SKU");
        let asked = Asked {
            action: "ListMovements",
            every: "1s",
            record: "w:Movements/w:Movement",
            watermark: "start = \"2000-01-01T00:00:00Z\"",
            page: 7,
        };
        check(&asked.table(), "SKU");
    }
}
