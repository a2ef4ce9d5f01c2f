//! Descriptions for tests, and how they are told.

use super::{Description, Element, Operation, read};

/// A warehouse's events and lists: document/literal wrapped, in both versions of SOAP.
pub(super) const WMS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<d:definitions name="Wms" targetNamespace="urn:example:wms" xmlns:t="urn:example:wms" xmlns:x="http://www.w3.org/2001/XMLSchema"
    xmlns:d="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s12="http://schemas.xmlsoap.org/wsdl/soap12/">
  <d:types>
    <x:schema targetNamespace="urn:example:wms" elementFormDefault="qualified">
      <x:complexType name="Movement">
        <x:annotation><x:documentation>Goods that moved.</x:documentation></x:annotation>
        <x:sequence>
          <x:element name="Id" type="x:string"/>
          <x:element name="Sku" type="t:Sku"/>
          <x:element name="Qty"><x:complexType><x:simpleContent><x:extension base="x:decimal">
            <x:attribute name="unit" type="x:string" use="required"/></x:extension></x:simpleContent></x:complexType></x:element>
          <x:element name="ChangedAt" type="x:dateTime" minOccurs="0"/>
          <x:element name="Lot" type="x:string" minOccurs="0" maxOccurs="5"/>
        </x:sequence>
      </x:complexType>
      <x:simpleType name="Sku"><x:restriction base="x:token"><x:maxLength value="20"/></x:restriction></x:simpleType>
      <x:element name="PutMovements"><x:complexType><x:sequence>
        <x:element name="BatchNo" type="x:string"/>
        <x:element name="Movement" type="t:Movement" minOccurs="0" maxOccurs="unbounded"/>
        <x:element name="Total" type="x:int"/>
      </x:sequence></x:complexType></x:element>
      <x:element name="PutMovementsResponse"><x:complexType/></x:element>
      <x:element name="ReportShipment"><x:complexType><x:sequence>
        <x:element name="ShipNo" type="x:string"/>
        <x:element name="Carrier" type="x:string" minOccurs="0"/>
      </x:sequence></x:complexType></x:element>
      <x:element name="ListMovements"><x:complexType><x:sequence>
        <x:element name="Since" type="x:dateTime" minOccurs="0"/>
        <x:element name="Warehouse" type="x:string"/>
        <x:element name="PageSize" type="x:int"/>
        <x:element name="PageToken" type="x:string" minOccurs="0"/>
      </x:sequence></x:complexType></x:element>
      <x:element name="ListMovementsResponse"><x:complexType><x:sequence>
        <x:element name="NextPageToken" type="x:string" minOccurs="0"/>
        <x:element name="Movements"><x:complexType><x:sequence>
          <x:element name="Movement" type="t:Movement" minOccurs="0" maxOccurs="unbounded"/>
        </x:sequence></x:complexType></x:element>
      </x:sequence></x:complexType></x:element>
    </x:schema>
  </d:types>
  <d:message name="PutIn"><d:part name="parameters" element="t:PutMovements"/></d:message>
  <d:message name="PutOut"><d:part name="parameters" element="t:PutMovementsResponse"/></d:message>
  <d:message name="ReportIn"><d:part name="parameters" element="t:ReportShipment"/></d:message>
  <d:message name="ListIn"><d:part name="parameters" element="t:ListMovements"/></d:message>
  <d:message name="ListOut"><d:part name="parameters" element="t:ListMovementsResponse"/></d:message>
  <d:portType name="Wms">
    <d:operation name="PutMovements"><d:input message="t:PutIn"/><d:output message="t:PutOut"/></d:operation>
    <d:operation name="ReportShipment"><d:input message="t:ReportIn"/></d:operation>
    <d:operation name="ListMovements"><d:input message="t:ListIn"/><d:output message="t:ListOut"/></d:operation>
  </d:portType>
  <d:binding name="Wms11" type="t:Wms">
    <s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <d:operation name="PutMovements"><s:operation soapAction="urn:example:wms/PutMovements"/>
      <d:input><s:body use="literal"/></d:input><d:output><s:body use="literal"/></d:output></d:operation>
    <d:operation name="ReportShipment"><s:operation soapAction="urn:example:wms/ReportShipment"/>
      <d:input><s:body use="literal"/></d:input></d:operation>
    <d:operation name="ListMovements"><s:operation soapAction="urn:example:wms/ListMovements"/>
      <d:input><s:body use="literal"/></d:input><d:output><s:body use="literal"/></d:output></d:operation>
  </d:binding>
  <d:binding name="Wms12" type="t:Wms">
    <s12:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <d:operation name="ReportShipment"><s12:operation soapAction="urn:example:wms/ReportShipment"/>
      <d:input><s12:body use="literal"/></d:input></d:operation>
  </d:binding>
  <d:service name="WmsEvents">
    <d:port name="Wms11" binding="t:Wms11"><s:address location="http://wms.local:8088/wms/events"/></d:port>
    <d:port name="Wms12" binding="t:Wms12"><s12:address location='http://wms.local/wms12?a=1&amp;b=2'/></d:port>
  </d:service>
</d:definitions>
"#;

/// rpc/literal: the parts carry no namespace.
pub(super) const RPC: &str = r#"<definitions targetNamespace="urn:rpc" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:rpc"
    xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">
  <types><x:schema targetNamespace="urn:types" elementFormDefault="qualified">
    <x:complexType name="Order"><x:sequence><x:element name="OrderNo" type="x:int"/></x:sequence><x:attribute name="site" type="x:string"/></x:complexType>
    <x:complexType name="Orders"><x:sequence><x:element name="Order" type="y:Order" maxOccurs="unbounded" xmlns:y="urn:types"/></x:sequence></x:complexType>
  </x:schema></types>
  <message name="In"><part name="TransactionId" type="x:string"/><part name="Orders" type="y:Orders" xmlns:y="urn:types"/></message>
  <message name="Out"><part name="Result" type="x:boolean"/></message>
  <portType name="P"><operation name="PutOrders"><input message="t:In"/><output message="t:Out"/></operation></portType>
  <binding name="B" type="t:P"><s:binding style="rpc"/>
    <operation name="PutOrders"><s:operation soapAction=""/>
      <input><s:body use="literal" namespace="urn:call"/></input><output><s:body use="literal" namespace="urn:call"/></output></operation>
  </binding>
  <service name="Orders"><port name="OrdersPort" binding="t:B"><s:address location="http://wms.local"/></port></service>
</definitions>
"#;

/// A description of one operation `Op`, document/literal, whose input is the element `t:In`.
pub(super) fn with_schema(schemas: &str) -> String {
    with(
        schemas,
        "<part name='p' element='t:In'/>",
        "<s:body use='literal'/>",
    )
}

/// As above, with the message's parts and what binds the input.
pub(super) fn with(schemas: &str, parts: &str, bound: &str) -> String {
    format!(
        "<definitions targetNamespace='urn:t' xmlns='http://schemas.xmlsoap.org/wsdl/' xmlns:t='urn:t' xmlns:m='http://schemas.xmlsoap.org/wsdl/mime/'
            xmlns:x='http://www.w3.org/2001/XMLSchema' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'>
          <types>{schemas}</types>
          <message name='M'>{parts}</message>
          <portType name='P'><operation name='Op'><input message='t:M'/></operation></portType>
          <binding name='B' type='t:P'><s:binding/><operation name='Op'><s:operation soapAction='a'/><input>{bound}</input></operation></binding>
          <service name='S'><port name='Port' binding='t:B'><s:address location='http://h/p/'/></port></service>
        </definitions>"
    )
}

/// Reads a description with nothing beside it.
pub(super) fn alone(wsdl: &str) -> Description {
    beside(wsdl, &[]).expect("a description")
}

/// Reads a description with documents beside it.
pub(super) fn beside(wsdl: &str, documents: &[(&str, &str)]) -> Result<Description, String> {
    let load = |path: &str| {
        let found = documents.iter().find(|(known, _)| *known == path);
        let found = found.map(|(_, text)| text.as_bytes().to_vec());
        found.ok_or_else(|| "no such file".to_owned())
    };
    read(wsdl.as_bytes(), &load)
}

/// The first operation of that name.
pub(super) fn operation<'d>(description: &'d Description, name: &str) -> &'d Operation {
    let mut all = description.ports().flat_map(|(_, port)| &port.operations);
    all.find(|operation| operation.name == name)
        .expect("it has the operation")
}

/// An element and what is in it: `{urn:t}In(@id:int! A:string? B*(C:int))`. `!` has to be there, `?` need not, `*` repeats, `|` is one of
/// several, `…` is cut.
pub(super) fn outline(element: &Element) -> String {
    let mut inside: Vec<String> = Vec::new();
    for attribute in &element.attributes {
        let required = if attribute.is_required { "!" } else { "" };
        inside.push(format!(
            "@{}:{}{required}",
            attribute.name, attribute.type_name
        ));
    }
    inside.extend(element.children.iter().map(outline));
    let mut out = element.name.to_string();
    if element.has_text {
        out += &format!(":{}", element.type_name);
    }
    for (mark, holds) in [
        ("|", element.is_choice),
        ("?", element.min == 0 && !element.is_choice),
        ("*", element.repeats()),
        ("…", element.is_cut),
    ] {
        out += if holds { mark } else { "" };
    }
    if !inside.is_empty() {
        out += &format!("({})", inside.join(" "));
    }
    out
}
