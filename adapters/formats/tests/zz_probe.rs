use quick_xml::{Reader, events::Event};
#[test]
fn probe() {
    for (what, doc) in [
        ("duplicate attribute", "<a x='1' x='2'/>"),
        ("< in attribute", "<a x='<'/>"),
        ("unquoted attribute", "<a x=1/>"),
        ("no space between attributes", "<a x='1'y='2'/>"),
        ("]]> in text", "<a>]]></a>"),
        ("-- in comment", "<a><!-- -- --></a>"),
        ("two roots", "<a/><b/>"),
        ("text behind root", "<a/>x"),
        ("text before root", "x<a/>"),
        ("name begins with digit", "<1a/>"),
        ("name with !", "<a!/>"),
        ("control character", "<a>\u{1}</a>"),
        ("declaration in the middle", "<a/><?xml version='1.0'?>"),
        (
            "declaration without version",
            "<?xml encoding='utf-8'?><a/>",
        ),
        ("& alone", "<a>& </a>"),
        ("unknown entity", "<a>&nbsp;</a>"),
        ("&#0;", "<a>&#0;</a>"),
        ("unclosed", "<a>"),
        ("wrong end", "<a></b>"),
        ("cut tag", "<a><b"),
        ("cut text", "<a>tex"),
        ("cut comment", "<a><!-- "),
        ("cut reference", "<a>&am"),
        ("undeclared prefix", "<p:a/>"),
        ("doctype", "<!DOCTYPE a><a/>"),
        ("empty", ""),
    ] {
        let mut reader = Reader::from_str(doc);
        reader.config_mut().check_comments = true;
        let mut said = String::new();
        loop {
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(Event::Start(t) | Event::Empty(t)) => {
                    for a in t.attributes() {
                        if let Err(e) = a {
                            said = format!("attributes: {e}");
                        }
                    }
                }
                Ok(_) => {}
                Err(e) => {
                    said = e.to_string();
                    break;
                }
            }
        }
        println!(
            "{what}: {}",
            if said.is_empty() {
                "ACCEPTED".into()
            } else {
                said
            }
        );
    }
    // rate by windows
    let mut file = String::from("<S>");
    for n in 0..300_000 {
        file += &format!(
            "<Shipment><ShipNo>SHP-{n:06}</ShipNo>\n<Line no=\"{n}\"><Item sku=\"SKU-{n:06}\"/><Qty>{n}</Qty><Unit>EA</Unit><Lot>L1</Lot></Line></Shipment>\n"
        );
    }
    file += "</S>";
    for window in [16 * 1024, 128 * 1024, 1024 * 1024] {
        let start = std::time::Instant::now();
        let (mut at, mut count, mut again) = (0, 0u64, 0u64);
        let mut open: u64 = 0;
        while at < file.len() {
            let end = (at + window).min(file.len());
            let piece = &file.as_bytes()[at..end];
            let mut reader = Reader::from_reader(piece);
            reader.config_mut().check_end_names = false;
            reader.config_mut().allow_unmatched_ends = true;
            let mut done = 0;
            loop {
                match reader.read_event() {
                    Ok(Event::Eof) => break,
                    Ok(Event::Text(_))
                        if reader.buffer_position() as usize == piece.len() && end < file.len() =>
                    {
                        break;
                    }
                    Ok(Event::Start(t) | Event::Empty(t)) => {
                        open += t.attributes().count() as u64;
                        count += 1;
                        done = reader.buffer_position() as usize;
                    }
                    Ok(_) => {
                        count += 1;
                        done = reader.buffer_position() as usize;
                    }
                    Err(_) => {
                        again += 1;
                        break;
                    }
                }
            }
            if done == 0 {
                break;
            }
            at += done;
        }
        let s = start.elapsed().as_secs_f64();
        println!(
            "windows of {window}: {:.0} MB/s, {count} events, {open} attributes, {again} cut in a tag, {} MB",
            file.len() as f64 / s / 1e6,
            file.len() / 1_000_000
        );
    }
}
