//! A caller: HTTP/1.1 by hand, so that it can also do what no library does.

use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes, also of 50 MB without optimization.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const TEXT_XML: (&str, &str) = ("Content-Type", "text/xml; charset=utf-8");

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Status, fault code, and whether it names a time to come again.
    pub(crate) fn fault(&self) -> (u16, &str, bool) {
        let between = |from: &str, to: &str| {
            let start = self.body.find(from)? + from.len();
            let length = self.body[start..].find(to)?;
            Some(&self.body[start..start + length])
        };
        let code =
            between("<faultcode>s:", "</faultcode>").or(between("<s:Value>s:", "</s:Value>"));
        (
            self.status,
            code.unwrap_or(""),
            self.header("retry-after").is_some(),
        )
    }
}

/// A connection that is kept.
pub(crate) struct Caller<S = TcpStream>(BufReader<S>);

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: io::Read + Write> Caller<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        self.0.get_mut()
    }

    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let length = body.len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend_from_slice(headers);
        self.head("POST", path, &all)?;
        // An answer may come before all is sent, and the connection end.
        let sent = self.stream().write_all(body);
        self.answer().or_else(|error| sent.and(Err(error)))
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.head("GET", path, &[])?;
        self.answer()
    }

    pub(crate) fn head(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<()> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: wms.test\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        self.stream().write_all(text.as_bytes())
    }

    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answer = Answer {
            status: status.unwrap_or(0),
            headers,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}

/// A message of SOAP 1.1 with a header.
pub(crate) fn enveloped(namespace: &str, header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"{namespace}\">{header}<s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// A body of `PutMovements`: so many movements under this number.
pub(crate) fn movements(batch: &str, count: usize) -> String {
    let mut text = format!("<PutMovements xmlns=\"urn:example:wms\"><BatchNo>{batch}</BatchNo>");
    for number in 0..count {
        text.push_str(&format!(
            "\n<Movement><Id>{batch}-{number}</Id><Quantity>{number}.5</Quantity></Movement>"
        ));
    }
    text + "</PutMovements>"
}

/// What becomes of it, as the suite shows it.
pub(crate) fn shown(batch: &str, count: usize) -> Vec<String> {
    let each = 0..count;
    each.map(|number| {
        format!(
            "PutMovements/{batch}:{}: {batch}-{number}|{number}.5|{batch}",
            number + 3
        )
    })
    .collect()
}
