//! What columns are called, and the field of a body that is meant.

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Anything.
    Text,
    /// Numbers.
    Decimal,
    /// Days.
    Date,
    /// Points in time.
    Time,
}

use Takes::{Date, Decimal, Text, Time};

/// A body, and by which of its fields it is told.
pub(super) struct Known {
    pub(super) body: &'static str,
    /// All of these are there, between blanks.
    pub(super) all: &'static str,
    /// And one of these.
    pub(super) any: &'static str,
    /// The field that is its key.
    pub(super) key: &'static str,
    /// The field before that with a slash, where it is there.
    pub(super) key_within: Option<&'static str>,
    pub(super) operation: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field's path, what it takes, and the names of columns that mean it: letters and digits alone, in capitals, between
/// blanks.
pub(super) type Field = (&'static str, Takes, &'static str);

const ITEM: &str = "SKU ITEM ITEMNO ITEMNUMBER ITEMID ITEMCODE PRODUCT PRODUCTNO PRODUCTCODE PRODUCTID MATERIAL MATNR ARTICLE ARTICLENO ARTIKEL";
const ORDER: &str = "ORDERNO ORDERNUMBER ORDERID ORDER ORDERNR SALESORDER SONO";
const CUSTOMER: &str = "CUSTOMERNO CUSTOMERNUMBER CUSTOMERID CUSTOMER CUSTNO CUSTID KUNNR";
const QUANTITY: &str =
    "QTY QUANTITY QTYSHIPPED SHIPPEDQTY QTYORDERED ORDEREDQTY QTYRECEIVED RECEIVEDQTY MENGE";
const UNIT: &str = "UOM UNIT UNITOFMEASURE QTYUOM";
const LOT: &str = "LOT LOTNO LOTNUMBER BATCH BATCHNO CHARG";
const SERIAL: &str = "SERIAL SERIALNO SERIALNUMBER";
const WAREHOUSE: &str = "WH WHSE WAREHOUSE WAREHOUSEID WAREHOUSECODE FACILITY";
const LOCATION: &str = "LOC LOCATION BIN BINLOCATION";
const STATUS: &str = "STATUS ST";
const LINE: &str = "LINE LINENO LINENUMBER LINENR POS POSNR";
const PRICE: &str = "PRICE UNITPRICE";

/// The more telling first.
pub(super) const BODIES: &[Known] = &[
    Known {
        body: "shipment",
        all: "shipment_number",
        any: "order_number line.item_number carrier tracking_number",
        key: "shipment_number",
        key_within: None,
        operation: "create",
        fields: &[
            (
                "shipment_number",
                Text,
                "SHIPNO SHIPMENTNO SHIPMENTNUMBER SHIPMENTID SHIPID SHIPMENT DELIVERYNO DELIVERYNUMBER",
            ),
            ("order_number", Text, ORDER),
            ("customer_number", Text, CUSTOMER),
            ("carrier", Text, "CARRIER CARRIERCODE SCAC"),
            (
                "tracking_number",
                Text,
                "TRACKING TRACKINGNO TRACKINGNUMBER",
            ),
            (
                "shipped_at",
                Time,
                "SHIPPED SHIPPEDAT SHIPTIME SHIPPEDTS SHIPDATE",
            ),
            ("status", Text, STATUS),
            ("warehouse", Text, WAREHOUSE),
            ("line.line_number", Text, LINE),
            ("line.item_number", Text, ITEM),
            ("line.quantity", Decimal, QUANTITY),
            ("line.unit", Text, UNIT),
            ("line.lot", Text, LOT),
            ("line.serial_number", Text, SERIAL),
            ("line.container", Text, "CONTAINER CARTON PALLET SSCC LPN"),
        ],
    },
    Known {
        body: "invoice",
        all: "invoice_number",
        any: "order_number customer_number invoice_date line.item_number",
        key: "invoice_number",
        key_within: None,
        operation: "create",
        fields: &[
            (
                "invoice_number",
                Text,
                "INVOICENO INVOICENUMBER INVOICEID INVOICE",
            ),
            ("order_number", Text, ORDER),
            ("customer_number", Text, CUSTOMER),
            ("invoice_date", Date, "INVOICEDATE DATE"),
            ("due_date", Date, "DUEDATE DUE"),
            ("status", Text, STATUS),
            ("line.line_number", Text, LINE),
            ("line.item_number", Text, ITEM),
            ("line.quantity", Decimal, QUANTITY),
            ("line.unit", Text, UNIT),
            ("line.unit_price.amount", Decimal, PRICE),
            ("line.unit_price.currency", Text, "CURRENCY CURR"),
        ],
    },
    Known {
        body: "receipt",
        all: "receipt_number",
        any: "order_number line.item_number",
        key: "receipt_number",
        key_within: None,
        operation: "create",
        fields: &[
            (
                "receipt_number",
                Text,
                "RECEIPTNO RECEIPTNUMBER RECEIPTID RECEIPT GRNO",
            ),
            (
                "order_number",
                Text,
                "PONO PONUMBER PO PURCHASEORDER ORDERNO ORDERNUMBER ORDER",
            ),
            (
                "supplier_number",
                Text,
                "SUPPLIER SUPPLIERNO SUPPLIERID VENDOR VENDORNO LIFNR",
            ),
            ("received_at", Time, "RECEIVED RECEIVEDAT RECEIPTTIME"),
            ("warehouse", Text, WAREHOUSE),
            ("status", Text, STATUS),
            ("line.line_number", Text, LINE),
            ("line.item_number", Text, ITEM),
            ("line.quantity", Decimal, QUANTITY),
            ("line.unit", Text, UNIT),
            ("line.lot", Text, LOT),
        ],
    },
    Known {
        body: "inventory_movement",
        all: "item_number quantity",
        any: "movement_number reason moved_at",
        key: "item_number",
        key_within: Some("warehouse"),
        operation: "create",
        fields: &[
            (
                "movement_number",
                Text,
                "MOVEMENTNO MOVEMENTNUMBER MOVEMENTID MOVENO TRANNO TRANSACTIONNO TRANSACTIONID",
            ),
            ("item_number", Text, ITEM),
            ("warehouse", Text, WAREHOUSE),
            ("location", Text, LOCATION),
            ("quantity", Decimal, QUANTITY),
            ("unit", Text, UNIT),
            ("reason", Text, "REASON REASONCODE MOVEMENTTYPE BWART"),
            ("moved_at", Time, "MOVED MOVEDAT MOVEMENTTIME TRANTIME"),
            ("lot", Text, LOT),
            ("serial_number", Text, SERIAL),
            ("reference", Text, "REFERENCE REF ORDERNO"),
            ("user", Text, "USER USERID OPERATOR"),
        ],
    },
    Known {
        body: "inventory_level",
        all: "item_number on_hand",
        any: "warehouse location available",
        key: "item_number",
        key_within: Some("warehouse"),
        operation: "snapshot",
        fields: &[
            ("item_number", Text, ITEM),
            ("warehouse", Text, WAREHOUSE),
            ("location", Text, LOCATION),
            (
                "on_hand",
                Decimal,
                "ONHAND QTYONHAND ONHANDQTY STOCK QTY QUANTITY",
            ),
            ("available", Decimal, "AVAILABLE QTYAVAILABLE AVAILABLEQTY"),
            ("allocated", Decimal, "ALLOCATED QTYALLOCATED ALLOCATEDQTY"),
            ("unit", Text, UNIT),
            ("lot", Text, LOT),
            ("counted_at", Time, "COUNTED COUNTEDAT"),
            ("status", Text, STATUS),
        ],
    },
    Known {
        body: "order",
        all: "order_number",
        any: "customer_number line.item_number order_date requested_date",
        key: "order_number",
        key_within: None,
        operation: "create",
        fields: &[
            ("order_number", Text, ORDER),
            ("customer_number", Text, CUSTOMER),
            ("order_date", Date, "ORDERDATE DATE"),
            (
                "requested_date",
                Date,
                "REQUESTEDDATE DELIVERYDATE DUEDATE DUE",
            ),
            ("status", Text, STATUS),
            ("line.line_number", Text, LINE),
            ("line.item_number", Text, ITEM),
            ("line.quantity", Decimal, QUANTITY),
            ("line.unit", Text, UNIT),
            ("line.unit_price.amount", Decimal, PRICE),
            ("line.unit_price.currency", Text, "CURRENCY CURR"),
        ],
    },
    Known {
        body: "customer",
        all: "customer_number name",
        any: "name",
        key: "customer_number",
        key_within: None,
        operation: "update",
        fields: &[
            ("customer_number", Text, CUSTOMER),
            ("name", Text, "NAME CUSTOMERNAME CUSTNAME"),
            ("address.street", Text, "STREET ADDRESS"),
            ("address.city", Text, "CITY"),
            ("address.postal_code", Text, "ZIP POSTALCODE POSTCODE"),
            ("address.country", Text, "COUNTRY"),
            ("email", Text, "EMAIL MAIL"),
            ("phone", Text, "PHONE TELEPHONE"),
            ("status", Text, STATUS),
        ],
    },
    Known {
        body: "item",
        all: "item_number description",
        any: "description",
        key: "item_number",
        key_within: None,
        operation: "update",
        fields: &[
            ("item_number", Text, ITEM),
            (
                "description",
                Text,
                "DESCRIPTION DESC ITEMDESCRIPTION ITEMNAME",
            ),
            ("unit", Text, UNIT),
            ("barcode", Text, "BARCODE EAN GTIN UPC EAN11"),
            ("weight_kg", Decimal, "WEIGHTKG"),
            ("volume_m3", Decimal, "VOLUMEM3"),
            ("status", Text, STATUS),
        ],
    },
];

/// Where documents of EDI and IDocs have their numbers.
pub(super) const DOCUMENT_NUMBERS: [&str; 14] = [
    "W0502", "W0602", "W1703", "BEG03", "BAK03", "BSN02", "BIG02", "BIA03", "N902", "B1002",
    "BGM02", "VBELN", "BELNR", "XBLNR",
];
/// How columns begin that are of an envelope.
pub(super) const ENVELOPES: [&str; 6] = ["ISA", "GS0", "ST0", "UNB", "UNG", "UNH"];

/// Letters and digits alone, in capitals.
pub(super) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_uppercase).collect()
}
