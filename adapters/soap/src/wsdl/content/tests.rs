use super::super::samples::{alone, beside, operation, outline, with, with_schema};
use super::super::{SHAPE_ELEMENTS_MAX, TYPE_DEPTH_MAX};

/// What a schema, in which `t:` is its own namespace and `x:` XML Schema's, has in its element `In`.
fn told(inside: &str) -> String {
    let schema = format!("<x:schema targetNamespace='urn:t'>{inside}</x:schema>");
    let description = alone(&with_schema(&schema));
    let body = description
        .body(&operation(&description, "Op").input)
        .expect("a body");
    outline(&body).replace("{urn:t}", "t:")
}

fn check(inside: &str, expected: &str) {
    assert_eq!(told(inside), expected, "{inside}");
}

/// The element `In` with this in its type.
fn input(inside: &str) -> String {
    format!("<x:element name='In'><x:complexType>{inside}</x:complexType></x:element>")
}

#[test]
fn groups_say_what_stands_in_an_element_and_how_often() {
    let a = "<x:element name='A' type='x:int'/>";
    let b = "<x:element name='B' type='x:string' minOccurs='0'/>";
    for (content, expected) in [
        (
            format!("<x:sequence>{a}{b}</x:sequence>"),
            "t:In(A:int B:string?)",
        ),
        (format!("<x:all>{a}{b}</x:all>"), "t:In(A:int B:string?)"),
        (
            format!("<x:choice>{a}{b}</x:choice>"),
            "t:In(A:int| B:string|)",
        ),
        (format!("<x:choice>{a}</x:choice>"), "t:In(A:int)"),
        (
            format!("<x:sequence maxOccurs='unbounded'>{a}{b}</x:sequence>"),
            "t:In(A:int* B:string?*)",
        ),
        (
            format!("<x:choice minOccurs='0' maxOccurs='3'>{a}</x:choice>"),
            "t:In(A:int?*)",
        ),
        (
            format!("<x:sequence>{a}{b}{a}</x:sequence>"),
            "t:In(A:int* B:string?)",
        ),
        (
            format!("<x:choice><x:sequence>{a}{b}</x:sequence>{a}</x:choice>"),
            "t:In(A:int| B:string|)",
        ),
        (
            format!("<x:sequence><x:any/>{a}</x:sequence>"),
            "t:In(A:int)",
        ),
        (
            "<x:sequence><x:element name='A' type='x:int' maxOccurs='0'/></x:sequence>".into(),
            "t:In",
        ),
        (
            "<x:sequence><x:element name='A' maxOccurs='many'/></x:sequence>".into(),
            "t:In(A:anyType)",
        ),
        (
            "<x:sequence><x:element name='A b' type='x:int'/></x:sequence>".into(),
            "t:In",
        ),
        (
            format!("<x:unknown/><x:sequence>{a}<x:unknown/></x:sequence>"),
            "t:In(A:int)",
        ),
        (String::new(), "t:In"),
    ] {
        check(&input(&content), expected);
    }
}

#[test]
fn names_and_types_are_followed_through_references() {
    let types = "
        <x:complexType name='Base'><x:sequence><x:element name='A' type='x:int'/></x:sequence><x:attribute name='a' type='x:int'/></x:complexType>
        <x:simpleType name='Code'><x:restriction base='t:Short'/></x:simpleType>
        <x:simpleType name='Short'><x:restriction base='x:token'/></x:simpleType>
        <x:simpleType name='List'><x:list itemType='x:int'/></x:simpleType>
        <x:simpleType name='Inline'><x:restriction><x:simpleType><x:restriction base='x:date'/></x:simpleType></x:restriction></x:simpleType>
        <x:complexType name='Text'><x:simpleContent><x:extension base='t:Code'><x:attribute name='lang' use='required'/></x:extension></x:simpleContent></x:complexType>
        <x:complexType name='Mixed' mixed='true'/>
        <x:element name='Global' type='t:Code'/>
        <x:element name='Named'><x:complexType><x:sequence><x:element name='C' type='x:int'/></x:sequence></x:complexType></x:element>
        <x:element name='Loop' type='t:Loop'/>
        <x:attribute name='site' type='t:Code'/>
        <x:group name='Group'><x:choice><x:element name='G' type='x:int'/><x:element name='H' type='x:int'/></x:choice></x:group>
        <x:attributeGroup name='Attributes'><x:attribute name='b' use='required'/><x:attributeGroup ref='t:More'/></x:attributeGroup>
        <x:attributeGroup name='More'><x:attribute ref='t:site'/></x:attributeGroup>";
    let own = "<x:sequence><x:element name='B' type='x:int'/></x:sequence><x:attribute name='c'/>";
    for (content, expected) in [
        ("<x:sequence><x:element name='A' type='t:Base'/></x:sequence>".into(), "t:In(A(@a:int A:int))"),
        ("<x:sequence><x:element name='A' type='t:Code'/></x:sequence>".into(), "t:In(A:token)"),
        ("<x:sequence><x:element name='A' type='t:List'/></x:sequence>".into(), "t:In(A:string)"),
        ("<x:sequence><x:element name='A' type='t:Inline'/></x:sequence>".into(), "t:In(A:date)"),
        ("<x:sequence><x:element name='A' type='t:Text'/></x:sequence>".into(), "t:In(A:token(@lang:string!))"),
        ("<x:sequence><x:element name='A' type='t:Mixed'/></x:sequence>".into(), "t:In(A:Mixed)"),
        ("<x:sequence><x:element name='A' type='t:NoSuch'/></x:sequence>".into(), "t:In(A:NoSuch)"),
        ("<x:sequence><x:element name='A' type='t:Named'/><x:element name='B' type='t:Loop'/></x:sequence>".into(), "t:In(A(C:int) B:Loop)"),
        ("<x:sequence><x:element name='A' type='u:NoSuch'/></x:sequence>".into(), "t:In(A:string)"),
        ("<x:sequence><x:element ref='t:Global' maxOccurs='2'/></x:sequence>".into(), "t:In(t:Global:token*)"),
        ("<x:sequence><x:element ref='t:NoSuch'/></x:sequence>".into(), "t:In(t:NoSuch…)"),
        ("<x:group ref='t:Group' maxOccurs='2'/>".into(), "t:In(G:int|* H:int|*)"),
        ("<x:group ref='t:NoSuch'/>".into(), "t:In"),
        ("<x:attributeGroup ref='t:Attributes'/>".into(), "t:In(@b:string! @t:site:token)"),
        ("<x:attribute name='a' use='prohibited'/>".into(), "t:In"),
        (format!("<x:complexContent><x:extension base='t:Base'>{own}</x:extension></x:complexContent>"), "t:In(@a:int @c:string A:int B:int)"),
        (format!("<x:complexContent><x:restriction base='t:Base'>{own}</x:restriction></x:complexContent>"), "t:In(@a:int @c:string B:int)"),
        (format!("<x:complexContent><x:restriction base='x:anyType'>{own}</x:restriction></x:complexContent>"), "t:In(@c:string B:int)"),
    ] {
        check(&format!("{types}{}", input(&content)), expected);
    }
}

#[test]
fn an_element_that_schemas_do_not_declare_is_cut() {
    check("", "t:In…");
    check("<x:element name='In' type='x:string'/>", "t:In:string");
}

#[test]
fn elements_have_a_namespace_where_the_schema_says_so() {
    let inside = "<x:element name='In'><x:complexType><x:sequence><x:element name='A'/><x:element name='B' form='unqualified'/>
        <x:element name='C' form='qualified'/></x:sequence><x:attribute name='d'/><x:attribute name='e' form='qualified'/></x:complexType></x:element>";
    for (defaults, expected) in [
        (
            "",
            "t:In(@d:string @t:e:string A:anyType B:anyType t:C:anyType)",
        ),
        (
            "elementFormDefault='qualified'",
            "t:In(@d:string @t:e:string t:A:anyType B:anyType t:C:anyType)",
        ),
        (
            "attributeFormDefault='qualified'",
            "t:In(@t:d:string @t:e:string A:anyType B:anyType t:C:anyType)",
        ),
    ] {
        let schema = format!("<x:schema targetNamespace='urn:t' {defaults}>{inside}</x:schema>");
        let description = alone(&with_schema(&schema));
        let body = description
            .body(&operation(&description, "Op").input)
            .expect("a body");
        assert_eq!(
            outline(&body).replace("{urn:t}", "t:"),
            expected,
            "{defaults}"
        );
    }
}

#[test]
fn what_holds_itself_ends() {
    let node = "<x:complexType name='Node'><x:sequence><x:element name='Id' type='x:int'/><x:element name='Node' type='t:Node' minOccurs='0'/></x:sequence></x:complexType>";
    check(
        &format!("{node}<x:element name='In' type='t:Node'/>"),
        "t:In(Id:int Node?…)",
    );
    check(
        &input("<x:sequence><x:element ref='t:In' minOccurs='0'/></x:sequence>"),
        "t:In(t:In?…)",
    );
    check(
        "<x:complexType name='A'><x:complexContent><x:extension base='t:A'/></x:complexContent></x:complexType><x:element name='In' type='t:A'/>",
        "t:In…",
    );
    check(
        &format!(
            "<x:group name='G'><x:sequence><x:element name='A'/><x:group ref='t:G'/></x:sequence></x:group>{}",
            input("<x:group ref='t:G'/>")
        ),
        "t:In(A:anyType)",
    );
    check(
        &format!(
            "<x:attributeGroup name='G'><x:attribute name='a'/><x:attributeGroup ref='t:G'/></x:attributeGroup>{}",
            input("<x:attributeGroup ref='t:G'/>")
        ),
        "t:In(@a:string)",
    );
    check(
        "<x:simpleType name='A'><x:restriction base='t:A'/></x:simpleType><x:element name='In' type='t:A'/>",
        "t:In:string",
    );
}

#[test]
fn a_hostile_schema_is_told_within_the_limits() {
    let level = |number: usize| {
        let children: String = (0..10)
            .map(|child| format!("<x:element name='E{child}' type='t:T{}'/>", number + 1))
            .collect();
        format!(
            "<x:complexType name='T{number}'><x:sequence>{children}</x:sequence></x:complexType>"
        )
    };
    let wide: String = (0..50).map(level).collect();
    let told_wide = told(&format!("{wide}<x:element name='In' type='t:T0'/>"));
    assert!(
        told_wide.matches(['E']).count() <= SHAPE_ELEMENTS_MAX,
        "{}",
        told_wide.len()
    );
    assert!(told_wide.contains('…'), "{told_wide}");

    let one = |number: usize| {
        format!(
            "<x:complexType name='T{number}'><x:sequence><x:element name='E' type='t:T{}'/></x:sequence></x:complexType>",
            number + 1
        )
    };
    let deep: String = (0..100).map(one).collect();
    let told_deep = told(&format!("{deep}<x:element name='In' type='t:T0'/>"));
    assert_eq!(
        told_deep.matches("E").count(),
        TYPE_DEPTH_MAX,
        "{told_deep}"
    );

    let nest = "<x:sequence>".repeat(240) + &"</x:sequence>".repeat(240);
    let nested: String = (0..40)
        .map(|number| {
            let with_element = nest.replacen(
                "</",
                &format!("<x:element name='E' type='t:T{}'/></", number + 1),
                1,
            );
            format!("<x:complexType name='T{number}'>{with_element}</x:complexType>")
        })
        .collect();
    assert_eq!(
        told(&format!("{nested}<x:element name='In' type='t:T0'/>")),
        "t:In…"
    );
}

#[test]
fn a_schema_without_a_namespace_takes_that_of_the_one_that_includes_it() {
    let wsdl = with_schema(
        "<x:schema targetNamespace='urn:t'><x:include schemaLocation='xsd/a.xsd'/></x:schema>",
    );
    let a = "<x:schema xmlns:x='http://www.w3.org/2001/XMLSchema'><x:include schemaLocation='b.xsd'/><x:element name='In' type='B'/></x:schema>";
    let b = "<x:schema xmlns:x='http://www.w3.org/2001/XMLSchema' elementFormDefault='qualified'><x:complexType name='B'><x:sequence><x:element name='C' type='x:int'/><x:element ref='D'/></x:sequence></x:complexType><x:element name='D' type='x:date'/></x:schema>";
    let description = beside(&wsdl, &[("xsd/a.xsd", a), ("xsd/b.xsd", b)]).expect("a description");
    assert_eq!(description.documents, ["xsd/a.xsd", "xsd/b.xsd"]);
    let body = description
        .body(&operation(&description, "Op").input)
        .expect("a body");
    assert_eq!(
        outline(&body).replace("{urn:t}", "t:"),
        "t:In(t:C:int t:D:date)"
    );
}

#[test]
fn imported_schemas_keep_their_own_namespaces() {
    let wsdl = with(
        "<x:schema><x:import namespace='urn:o' schemaLocation='o.xsd'/></x:schema>",
        "<part name='p' element='o:In' xmlns:o='urn:o'/>",
        "<s:body use='literal'/>",
    );
    let other = "<schema targetNamespace='urn:o' xmlns:o='urn:o' xmlns='http://www.w3.org/2000/10/XMLSchema'><element name='In' type='o:T'/><complexType name='T'><sequence><element name='A' type='int'/></sequence></complexType></schema>";
    let description = beside(&wsdl, &[("o.xsd", other)]).expect("a description");
    let body = description
        .body(&operation(&description, "Op").input)
        .expect("a body");
    assert_eq!(outline(&body), "{urn:o}In(A:int)");
}

/// Each holds the next one twice: 2^31 ways lead to the last.
#[test]
fn types_and_groups_that_hold_the_next_one_twice_end() {
    for (kind, twice) in [
        (
            "complexType",
            "<x:complexContent><x:extension base='t:NEXT'/><x:extension base='t:NEXT'/></x:complexContent>",
        ),
        (
            "group",
            "<x:sequence><x:group ref='t:NEXT'/><x:group ref='t:NEXT'/></x:sequence>",
        ),
        (
            "attributeGroup",
            "<x:attributeGroup ref='t:NEXT'/><x:attributeGroup ref='t:NEXT'/>",
        ),
    ] {
        let chain: String = (1..TYPE_DEPTH_MAX)
            .map(|number| {
                let held = twice.replace("NEXT", &format!("T{}", number + 1));
                format!("<x:{kind} name='T{number}'>{held}</x:{kind}>")
            })
            .collect();
        let content = twice.replace("NEXT", "T1");
        check(&format!("{chain}{}", input(&content)), "t:In…");
    }
}
