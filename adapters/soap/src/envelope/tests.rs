use std::sync::Arc;

use super::*;
use crate::pick::Path;

const HEADER: &str = r#"<s:Header>
  <wsa:MessageID xmlns:wsa="http://www.w3.org/2005/08/addressing">urn:uuid:1</wsa:MessageID>
  <wsse:Security s:mustUnderstand="1" xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
      xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">
    <wsu:Timestamp wsu:Id="t"><wsu:Created>C</wsu:Created><wsu:Expires>E</wsu:Expires></wsu:Timestamp>
    <wsse:UsernameToken wsu:Id="u"><wsse:Username>wms</wsse:Username>
      <wsse:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest">D=</wsse:Password>
      <wsse:Nonce>N=</wsse:Nonce><wsu:Created>T</wsu:Created></wsse:UsernameToken>
  </wsse:Security></s:Header>"#;

fn message(version: Version, header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"{}\">{header}<s:Body>{body}</s:Body></s:Envelope>",
        version.namespace()
    )
}

fn read(text: &str) -> Result<Envelope, String> {
    let namespaces = ["urn:example:wms".to_owned()];
    let known = [("w".to_owned(), namespaces[0].clone())].into();
    let path = |text| Path::new(text, &known).expect("a path");
    let wanted = Wanted {
        root: Some((Some(0), "Put".into())),
        paths: vec![path("w:Head/w:No"), path("Head/@site")],
    };
    let wanted: Arc<[Wanted]> = [wanted].into();
    let whole = Reader::new(&namespaces, Arc::clone(&wanted)).whole(text.as_bytes());
    // However it is cut.
    let mut reader = Reader::new(&namespaces, wanted);
    let (mut held, mut parts) = (Vec::new(), text.as_bytes().chunks(7));
    let cut = loop {
        let part = parts.next();
        held.extend_from_slice(part.unwrap_or_default());
        match reader.read(&held, part.is_none()) {
            Err(fault) => break Err(fault.0),
            Ok((_, true)) => break reader.finish(),
            Ok((taken, false)) => drop(held.drain(..taken)),
        }
    };
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    whole
}

#[test]
fn a_reference_that_nothing_explains_is_passed_where_only_a_record_can_be_bad() {
    let put = |head: &str, line: &str| {
        let body = format!(
            "<Put xmlns=\"urn:example:wms\">{head}<Line a='&uuml;'>x&nbsp;{line}</Line></Put>"
        );
        message(Version::V11, "", &body)
    };
    let plain = "<Head site=\"N1\"><No>17</No></Head>";
    let one = read(&put(plain, "1")).expect("a message");
    assert_eq!(one.values, [Some("17".into()), Some("N1".into())]);
    let other = read(&put(plain, "&nbsp;1")).expect("a message");
    assert_ne!(
        one.body_sha256, other.body_sha256,
        "they are of the content"
    );
    for wrong in [
        put("<Head site=\"N1\"><No>1&nbsp;7</No></Head>", "1"),
        put("<Head site=\"N&nbsp;1\"><No>17</No></Head>", "1"),
        message(Version::V11, "<s:Header>&nbsp;</s:Header>", "<Put/>"),
        message(Version::V11, "", "&nbsp;<Put/>"),
    ] {
        let reason = read(&wrong).map(drop).expect_err(&wrong);
        assert!(
            reason.contains("line 1: &nbsp; stands for nothing"),
            "{reason}"
        );
    }
}

#[test]
fn headers_and_values_of_the_body_are_found_in_both_versions() {
    let body = r#"<Put xmlns="urn:example:wms"><Head site="N1"><No> 17 </No></Head><Line><No>9</No></Line></Put>"#;
    for version in [Version::V11, Version::V12] {
        let found = read(&message(version, HEADER, body)).expect("a message");
        assert_eq!(found.version, Some(version));
        assert_eq!(found.root, Some((Some(0), "Put".into())));
        assert_eq!(found.message_id.as_deref(), Some("urn:uuid:1"));
        assert_eq!(found.values, [Some("17".into()), Some("N1".into())]);
        assert_eq!(found.timestamp, Some(("C".into(), "E".into())));
        assert_eq!(found.not_understood, None);
        let token = found.token.expect("a token");
        let seen = (
            &*token.username,
            &*token.password,
            &*token.nonce,
            &*token.created,
        );
        assert_eq!((seen, token.digest), (("wms", "D=", "N=", "T"), true));
    }
}

#[test]
fn the_same_body_has_the_same_hash_whatever_the_header_says() {
    let body = "<Put xmlns=\"urn:example:wms\"><Head/></Put>";
    let with = read(&message(Version::V11, HEADER, body)).expect("a message");
    let without = read(&message(Version::V11, "", body)).expect("a message");
    assert_eq!(with.body_sha256, without.body_sha256);
    let other = read(&message(
        Version::V11,
        "",
        "<Put xmlns=\"urn:example:wms\"><Head /></Put>",
    ));
    assert_ne!(other.expect("a message").body_sha256, with.body_sha256);
}

#[test]
fn what_is_out_of_place_is_refused() {
    let soap = |text: &str| text.replace("$1", SOAP_11).replace("$2", SOAP_12);
    for (text, expected) in [
        (
            "<a/>",
            "the root element is a, and that of a SOAP message is Envelope",
        ),
        ("<Envelope><Body/></Envelope>", "neither SOAP 1.1's"),
        ("<s:Envelope xmlns:s='$1'/>", "no Body"),
        (
            "<s:Envelope xmlns:s='$1'><s:Body/><s:Body/></s:Envelope>",
            "Body stands twice",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Body/><s:Header/></s:Envelope>",
            "Header stands twice, or behind",
        ),
        (
            "<s:Envelope xmlns:s='$1'><t:Body xmlns:t='$2'/></s:Envelope>",
            "Body is of another SOAP",
        ),
        (
            "<s:Envelope xmlns:s='$1'><x/><s:Body/></s:Envelope>",
            "x stands in the envelope",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Body/>\n\n\n      \n  text</s:Envelope>",
            "line 5: text stands between",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Header><w><s:Body/></w></s:Header><s:Body/></s:Envelope>",
            "Body stands where none may",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Body><a/><b/></s:Body></s:Envelope>",
            "the Body holds b behind another element",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Body><a xml:id='1'><b xml:id='1'/></a></s:Body></s:Envelope>",
            "an Id stands at two elements",
        ),
        (
            "<!DOCTYPE x [<!ENTITY a 'b'>]><s:Envelope xmlns:s='$1'><s:Body/></s:Envelope>",
            "a DOCTYPE",
        ),
        (
            "<s:Envelope xmlns:s='$1'><s:Body><a></s:Body></s:Envelope>",
            "</s:Body> stands where </a>",
        ),
    ] {
        let error = read(&soap(text)).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let error = read(&message(Version::V11, "", &deep)).expect_err("deep");
    assert!(error.contains("more than 256 deep"), "{error}");
}

#[test]
fn only_what_must_be_understood_here_is_missed() {
    let header = |attributes: &str| {
        let text = format!("<s:Header><x:Route xmlns:x=\"urn:x\" {attributes}/></s:Header>");
        read(&message(Version::V12, &text, "<a/>"))
            .expect("a message")
            .not_understood
    };
    let missed = Some("Route".to_owned());
    let role = |name: &str| format!("s:mustUnderstand=\"true\" s:role=\"{SOAP_12}/role/{name}\"");
    assert_eq!(header(""), None);
    assert_eq!(header("s:mustUnderstand=\"1\""), missed);
    assert_eq!(header("s:mustUnderstand=\"0\""), None);
    assert_eq!(header("mustUnderstand=\"1\""), None, "of no namespace");
    assert_eq!(header(&role("next")), missed);
    assert_eq!(header(&role("none")), None);
    let signed = HEADER.replace(
        "<wsu:Timestamp",
        "<ds:Signature xmlns:ds=\"urn:ds\"/><wsu:Timestamp",
    );
    let found = read(&message(Version::V11, &signed, "<a/>")).expect("a message");
    assert_eq!(found.not_understood.as_deref(), Some("Signature"));
}

#[test]
fn faults_are_told_apart_by_the_first_part_of_their_code() {
    let old = |code: &str| {
        let body = format!(
            "<s:Fault><faultcode>{code}</faultcode><faultstring>no &lt;</faultstring><detail><x/></detail></s:Fault>"
        );
        let found = read(&message(Version::V11, "", &body)).expect("a message");
        found.fault.expect("a fault")
    };
    let new = "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:BadLimit</s:Value></s:Subcode></s:Code>\
               <s:Reason><s:Text xml:lang='en'>no</s:Text><s:Text xml:lang='de'>nein</s:Text></s:Reason></s:Fault>";
    let new = read(&message(Version::V12, "", new))
        .expect("a message")
        .fault
        .expect("a fault");
    assert_eq!(
        (&*new.code, &*new.subcode, &*new.text),
        ("Sender", "BadLimit", "no")
    );
    assert_eq!(new.blame(), Blame::Sender);
    let fault = old("s:Client.BadLimit");
    assert_eq!(
        (&*fault.code, &*fault.text, fault.blame()),
        ("Client.BadLimit", "no <", Blame::Sender)
    );
    assert_eq!(old("soap:Server").blame(), Blame::Receiver);
    assert_eq!(old("Server.Busy").blame(), Blame::Receiver);
    assert_eq!(old("x:Oops").blame(), Blame::Receiver);
}
