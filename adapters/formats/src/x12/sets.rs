//! The sets that are built in: loops after version 004010 of the standard, taken loosely enough for others, and the columns that
//! warehouses and their customers ask for. The language of loops is explained in `edi/schema.rs`, that of columns in `edi/address.rs`.

use crate::edi::Known;

/// All of them.
pub(super) const SETS: &[Known] = &[
    WAREHOUSE_SHIPPING_ORDER,
    STOCK_TRANSFER_SHIPMENT_ADVICE,
    STOCK_TRANSFER_RECEIPT_ADVICE,
    WAREHOUSE_SHIPPING_ADVICE,
    WAREHOUSE_ADJUSTMENT_ADVICE,
    INVENTORY_ADVICE,
    PURCHASE_ORDER,
    PURCHASE_ORDER_ACKNOWLEDGMENT,
    SHIP_NOTICE,
    INVOICE,
    FUNCTIONAL_ACKNOWLEDGMENT,
];

const WAREHOUSE_SHIPPING_ORDER: Known = Known {
    set: "940",
    loops: "
        W05!
        (N1 N2 N3 N4 PER N9)
        N9 PER G61 G62 NTE W09 W66 W6 G66 W27 MAN
        (LM LQ)
        (LX
            MAN N9 G62 NTE
            line:(W01+ G69 N9 W20 QTY AMT G62 G66 NTE MAN PO4 MEA PI DTM LS LE (LM LQ) (N1 N2 N3 N4 PER N9) (LIN PID))
        )
        W76?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             W0501 W0502 W0503 W0504 W0505
             N102[ST] N104[ST] N301[ST] N302[ST] N401[ST] N402[ST] N403[ST] N404[ST]
             N102[SF] N104[SF] N102[WH] N104[WH] N102[BT] N104[BT] N102[DE] N104[DE]
             N902[PO] N902[CO] N902[BM] G6202[10] G6202[02] G6202[04]
             NTE02[WHI] NTE02[DEL] W6601 W6602 W6605 W6610 W7601 W7602 W7603 W7604 W7605",
        ),
        (
            "line",
            "LX01 W0101 W0102 W0103 W0104 W0105 W0106 W0107 W0112 W0115 W0116 G6901 N902[LI] N902[LT] N902[SE] W2001 W2004 W2006",
        ),
    ],
};

const STOCK_TRANSFER_SHIPMENT_ADVICE: Known = Known {
    set: "943",
    loops: "
        W06!
        (N1 N2 N3 N4 PER N9)
        N9 PER G61 G62 NTE W27 W28 W10 W6 MAN
        line:(W04+ G69 N9 W20 QTY G62 NTE MAN PO4 LS LE (LM LQ) (N1 N2 N3 N4 N9))
        W03?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             W0601 W0602 W0603 W0604 W0605 W0606
             N102[SF] N104[SF] N102[ST] N104[ST] N102[WH] N104[WH] N102[DE] N104[DE]
             N902[PO] N902[BM] N902[SN] G6202[10] G6202[11] G6202[17] NTE02[WHI]
             W2701 W2702 W2703 W2704 W2706 W0301 W0302 W0303",
        ),
        (
            "line",
            "W0401 W0402 W0403 W0404 W0405 W0406 W0407 W0408 G6901 N902[LI] N902[LT] N902[SE] W2001 W2004 W2006",
        ),
    ],
};

const STOCK_TRANSFER_RECEIPT_ADVICE: Known = Known {
    set: "944",
    loops: "
        W17!
        (N1 N2 N3 N4 PER N9)
        N9 PER G61 G62 NTE W08 W27 W10 MAN
        line:(W07+ G69 N9 W20 QTY G62 NTE MAN LS LE exception:(W13 N9 NTE G69) (LM LQ) (N1 N2 N3 N4 N9))
        W14?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             W1701 W1702 W1703 W1704 W1705
             N102[ST] N104[ST] N102[SF] N104[SF] N102[WH] N104[WH] N102[DE] N104[DE]
             N902[PO] N902[BM] N902[SN] G6202[09] G6202[10] NTE02[WHI]
             W0801 W0802 W0803 W0808 W1401 W1402 W1403 W1404",
        ),
        ("line", "W0701 W0702 W0703 W0704 W0705 W0706 W0707 W0708 G6901 N902[LI] N902[LT] N902[SE] W2001 W2004 W2006"),
        ("exception", "W1301 W1302 W1303 W1304"),
    ],
};

const WAREHOUSE_SHIPPING_ADVICE: Known = Known {
    set: "945",
    loops: "
        W06!
        (N1 N2 N3 N4 PER N9)
        N9 PER G61 G62 NTE W27 W28 W10 W6 G72 MAN
        (LX
            MAN PAL N9 G62 NTE TD1
            line:(W12+ G69 N9 W20 QTY AMT G62 MEA NTE MAN PO4 PI LS LE (LM LQ) (N1 N2 N3 N4 N9) (LIN PID))
        )
        W03?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             W0601 W0602 W0603 W0604 W0605 W0606
             N102[ST] N104[ST] N301[ST] N302[ST] N401[ST] N402[ST] N403[ST] N404[ST]
             N102[SF] N104[SF] N102[WH] N104[WH] N102[DE] N104[DE]
             N902[PO] N902[CO] N902[BM] N902[CN] N902[SN] G6202[10] G6202[11] G6202[35] NTE02[WHI]
             W2701 W2702 W2703 W2704 W2706 W1001 W0301 W0302 W0303 W0304 W0305",
        ),
        (
            "line",
            "LX01 LX.MAN02[GM] LX.MAN02[CP] W1201 W1202 W1203 W1204 W1205 W1206 W1207 W1208 W1209 W1210 W1217 W1218
             G6901 N902[LI] N902[LT] N902[LV] N902[SE] W2001 W2004 W2006",
        ),
    ],
};

const WAREHOUSE_ADJUSTMENT_ADVICE: Known = Known {
    set: "947",
    loops: "
        W15!
        (N1 N2 N3 N4 PER)
        N9 PER G61 G62 NTE
        (LM LQ)
        line:(W19+ G69 N9 W20 QTY AMT G62 NTE CN1 LS LE (LM LQ) (N1 N2 N3 N4 N9 G61))
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             W1501 W1502 W1503 N102[WH] N104[WH] N102[DE] N104[DE] N902[PO] G6202[07] G6202[10] NTE02[WHI]",
        ),
        (
            "line",
            "W1901 W1902 W1903 W1904 W1905 W1906 W1907 W1908 W1909 W1910 W1916 W1917 G6901 N902[LI] N902[LT] N902[SE] N902[ZZ]",
        ),
    ],
};

const INVENTORY_ADVICE: Known = Known {
    set: "846",
    loops: "
        BIA! CUR REF PER DTM MEA
        (N1 N2 N3 N4 REF PER FOB)
        (LM LQ)
        line:(LIN+
            PID MEA PKG DTM CTP CUR SAC REF PWK UIT PER MAN
            (LM LQ)
            (SLN PID)
            quantity:(QTY UIT MEA DTM LDT REF MAN LS LE (LM LQ) (N1 N2 N3 N4 REF PER))
            (SCH DTM)
            (LDT DTM)
            (N1 N2 N3 N4 REF PER)
        )
        CTT?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             BIA01 BIA02 BIA03 BIA04 BIA05 REF02[IV] DTM02[007] DTM02[366] DTM03[366]
             N102[WH] N104[WH] N102[SU] N104[SU] N102[BY] N104[BY] CTT01",
        ),
        (
            "line",
            "LIN01 LIN02 LIN03 LIN04 LIN05 LIN02/UP LIN02/VN LIN02/VP LIN02/BP LIN02/SK PID05 REF02[LT]
             DTM02[018]",
        ),
        ("quantity", "QTY01 QTY02 QTY03-1 UIT01-1 N102[WH] N104[WH] DTM02[018] DTM02[366] REF02[LT]"),
    ],
};

const PURCHASE_ORDER: Known = Known {
    set: "850",
    loops: "
        BEG! CUR REF PER TAX FOB CTP PAM CSH
        (SAC CUR)
        ITD DIS INC DTM LIN SI PID MEA PWK PKG TD1 TD5 TD3 TD4 MAN PCT CTB TXI
        (LDT QTY MTX REF)
        (AMT REF DTM PCT)
        (N9 DTM MTX PWK EFI MSG)
        (N1 N2 NX2 N3 N4 REF PER SI FOB TD1 TD5 TD3 TD4 PKG MSG)
        (LM LQ)
        (SPI REF DTM MSG)
        (ADV DTM MTX)
        line:(PO1
            LIN SI CUR CN1 PO3 PAM MEA PWK PO4 REF PER IT8 CSH ITD DIS INC TAX FOB SDQ IT3 DTM TC2 TD1 TD5 TD3 TD4 PCT MAN MSG SPI TXI CTB LS LE
            (CTP CUR)
            (PID MEA)
            (SAC CUR CTP)
            (QTY SI)
            schedule:(SCH TD1 TD5 TD3 TD4 REF)
            (PKG MEA)
            (LDT QTY MSG REF)
            (LM LQ)
            (N9 DTM MEA PWK EFI MSG)
            (N1 N2 NX2 N3 N4 REF PER SI DTM FOB TD1 TD5 TD3 TD4 PKG)
            (SLN MSG SI PID PO3 TC2 ADV DTM CTP PAM PO4 TAX)
            (AMT REF PCT)
        )
        CTT?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             BEG01 BEG02 BEG03 BEG04 BEG05 CUR02 REF02[DP] REF02[IA] REF02[VR] REF02[CO] DTM02[002] DTM02[010] DTM02[037] DTM02[038] DTM02[001]
             FOB01 ITD07 ITD12 TD505 TD503
             N102[ST] N104[ST] N301[ST] N302[ST] N401[ST] N402[ST] N403[ST] N404[ST]
             N102[BY] N104[BY] N102[BT] N104[BT] N102[SU] N104[SU] N102[VN] N104[VN] N102[SF] N104[SF] N9.MSG01 CTT01 CTT02",
        ),
        (
            "line",
            "PO101 PO102 PO103 PO104 PO105 PO106 PO107 PO106/UP PO106/VN PO106/VP PO106/BP PO106/CB PO106/IN PO106/SK PO106/UA PO106/EN
             PID05 PO401 PO402 PO403 REF02[LI] DTM02[002] DTM02[010] N104[ST] MSG01",
        ),
        ("schedule", "SCH01 SCH02 SCH05 SCH06 SCH08 SCH09"),
    ],
};

const PURCHASE_ORDER_ACKNOWLEDGMENT: Known = Known {
    set: "855",
    loops: "
        BAK! CUR REF PER TAX FOB CTP PAM CSH
        (SAC CUR)
        ITD DIS INC DTM LDT LIN SI PID MEA PWK PKG TD1 TD5 TD3 TD4 MAN TXI CTB
        (N9 DTM MTX PWK EFI MSG)
        (N1 N2 NX2 N3 N4 REF PER SI FOB TD1 TD5 TD3 TD4 PKG)
        (ADV DTM MTX)
        line:(PO1
            LIN SI CUR CN1 PO3 PAM MEA PWK PKG PO4 REF PER IT8 CSH ITD DIS INC TAX FOB SDQ IT3 DTM LDT TD1 TD5 TD3 TD4 MAN MSG TXI CTB LS LE
            (CTP CUR)
            (PID MEA)
            (SAC CUR CTP)
            (QTY SI)
            acknowledgment:(ACK DTM)
            (SCH TD1 TD5 TD3 TD4 REF)
            (LM LQ)
            (N9 DTM MEA PWK EFI MSG)
            (N1 N2 NX2 N3 N4 REF PER SI FOB TD1 TD5 TD3 TD4 PKG)
            (SLN MSG SI PID PO3 ADV DTM CTP PAM PO4 TAX ACK)
            (AMT REF PCT)
        )
        (AMT REF)
        CTT?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             BAK01 BAK02 BAK03 BAK04 BAK05 BAK06 BAK07 BAK08 BAK09 CUR02 REF02[VR] REF02[CO] DTM02[002] DTM02[010] DTM02[067]
             N102[ST] N104[ST] N102[BY] N104[BY] N102[SU] N104[SU] N102[VN] N104[VN] CTT01 CTT02",
        ),
        (
            "line",
            "PO101 PO102 PO103 PO104 PO105 PO106 PO107 PO106/UP PO106/VN PO106/VP PO106/BP PO106/CB PO106/IN PO106/SK PO106/UA PO106/EN PID05",
        ),
        ("acknowledgment", "ACK01 ACK02 ACK03 ACK04 ACK05 DTM02"),
    ],
};

const SHIP_NOTICE: Known = Known {
    set: "856",
    loops: "
        BSN! DTM
        tree HL01 HL02
        shipment:(HL[03=S]
            LIN SN1 PRF PO4 PID MEA PWK PKG TD1 TD5 TD3 TD4 TSD REF PER LFS MAN DTM FOB PAL ETD CUR CTP AMT SDQ QTY NTE
            (SAC CUR) (N1 N2 N3 N4 REF PER FOB) (CLD REF DTP) (LM LQ) (V1 R4 DTM)
        )
        order:(HL[03=O]
            LIN SN1 PRF PO4 PID MEA PWK PKG TD1 TD5 TD3 TD4 REF PER MAN DTM FOB PAL ETD CUR CTP AMT SDQ QTY NTE
            (SAC CUR) (N1 N2 N3 N4 REF PER FOB) (CLD REF DTP) (LM LQ)
        )
        tare:(HL[03=T]
            LIN SN1 PRF PO4 PID MEA PWK PKG TD1 TD5 TD3 TD4 REF PER MAN DTM FOB PAL QTY NTE
            (N1 N2 N3 N4 REF PER) (CLD REF DTP) (LM LQ)
        )
        pack:(HL[03=P]
            LIN SN1 PRF PO4 PID MEA PWK PKG TD1 TD5 TD3 TD4 REF PER MAN DTM FOB PAL QTY NTE
            (N1 N2 N3 N4 REF PER) (CLD REF DTP) (LM LQ)
        )
        item:(HL[03=I]
            LIN SN1 PRF PO4 PID MEA PWK PKG TD1 TD5 TD3 TD4 REF PER MAN DTM FOB PAL ETD CUR CTP AMT SDQ QTY NTE IT8
            (SLN PID REF) (SAC CUR) (N1 N2 N3 N4 REF PER FOB) (CLD REF DTP) (LM LQ)
        )
        CTT?
    ",
    columns: &[
        ("", "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02 BSN01 BSN02 BSN03 BSN04 BSN05 DTM02[011] DTM02[017] CTT01 CTT02"),
        (
            "shipment",
            "HL01 TD101 TD102 TD107 TD108 TD502 TD503 TD504 TD505 TD302 TD303 REF02[BM] REF02[CN] REF02[2I] DTM02[011] DTM02[017] DTM02[067] FOB01
             N102[ST] N104[ST] N301[ST] N401[ST] N402[ST] N403[ST] N404[ST] N102[SF] N104[SF] N102[SH] N104[SH] N102[BY] N104[BY]",
        ),
        ("order", "HL01 PRF01 PRF02 PRF04 REF02[IA] REF02[CO] REF02[DP] REF02[VN] TD102 N104[BY] N104[ST] N102[BY]"),
        ("tare", "HL01 MAN02[GM] MAN02[UC] PO401 TD101 PAL01 PAL02"),
        ("pack", "HL01 MAN02[GM] MAN02[UC] MAN02[CP] PO401 TD101 REF02[CN]"),
        (
            "item",
            "HL01 LIN01 LIN02 LIN03 LIN02/UP LIN02/VN LIN02/VP LIN02/BP LIN02/CB LIN02/IN LIN02/SK LIN02/EN LIN02/UK LIN02/LT
             SN101 SN102 SN103 SN105 SN106 SN108 PO401 PO402 PO403 PID05 REF02[LT] DTM02[036] DTM02[208] MAN02[GM]",
        ),
    ],
};

const INVOICE: Known = Known {
    set: "810",
    loops: "
        BIG! NTE CUR REF YNQ PER
        (N1 N2 N3 N4 REF PER DMG)
        ITD DTM FOB PID MEA PWK PKG L7 BAL INC PAM
        (LM LQ)
        (N9 MSG)
        (V1 R4 DTM)
        (FA1 FA2)
        line:(IT1
            CRC QTY CUR IT3 TXI CTP PAM MEA PWK PKG PO4 ITD REF YNQ PER SDQ DTM CAD L7 SR
            (PID MEA)
            (SAC TXI)
            (SLN DTM REF PID SAC TC2 TXI)
            (N1 N2 N3 N4 REF PER DMG)
            (LM LQ)
            (V1 R4 DTM)
            (FA1 FA2)
        )
        TDS! TXI CAD
        (AMT REF DTM)
        (SAC TXI)
        (ISS PID)
        CTT?
    ",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02
             BIG01 BIG02 BIG03 BIG04 BIG07 BIG08 CUR02 REF02[IV] REF02[BM] REF02[CN] DTM02[011]
             N102[ST] N104[ST] N301[ST] N401[ST] N402[ST] N403[ST] N404[ST] N102[BT] N104[BT] N102[BY] N104[BY] N102[RE] N104[RE]
             N102[RI] N104[RI] N102[SE] N104[SE] N102[SU] N104[SU]
             ITD03 ITD05 ITD06 ITD07 ITD12 FOB01 TDS01 TDS02 TXI01 TXI02 AMT02[1] ISS01 ISS02 CTT01 CTT02",
        ),
        (
            "line",
            "IT101 IT102 IT103 IT104 IT105 IT106 IT107 IT106/UP IT106/VN IT106/VP IT106/BP IT106/CB IT106/IN IT106/SK IT106/UA IT106/EN
             PID05 PO401 REF02[PO] SAC05 TXI02 DTM02[011]",
        ),
    ],
};

const FUNCTIONAL_ACKNOWLEDGMENT: Known = Known {
    set: "997",
    loops: "AK1! document:(AK2 segment:(AK3 element:(AK4)) AK5!) AK9!",
    columns: &[
        (
            "",
            "ISA06 ISA08 ISA13 GS02 GS03 GS06 ST02 AK101 AK102 AK901 AK902 AK903 AK904 AK905",
        ),
        ("document", "AK201 AK202 AK501 AK502 AK503"),
        ("segment", "AK301 AK302 AK303 AK304"),
        ("element", "AK401 AK402 AK403 AK404"),
    ],
};
