//! The messages that are built in: groups after directories D.96A and D.01B, taken loosely enough for others and for EANCOM, and the
//! columns that warehouses and their customers ask for. The language of loops is explained in `edi/schema.rs`, that of columns in
//! `edi/address.rs`.

use crate::edi::Known;

/// All of them.
pub(super) const SETS: &[Known] = &[ORDERS, DESADV, RECADV, INVRPT, INVOIC];

const ORDERS: Known = Known {
    set: "ORDERS",
    loops: "
        BGM! DTM PAI ALI IMD FTX GIR
        (RFF DTM)
        (NAD LOC FII (RFF DTM) (DOC DTM) (CTA COM))
        (TAX MOA LOC)
        (CUX PCD DTM)
        (PAT DTM PCD MOA)
        (TDT (LOC DTM))
        (TOD LOC)
        (PAC MEA (PCI RFF DTM GIN))
        (EQD HAN MEA FTX)
        (SCC FTX RFF (QTY DTM))
        (APR DTM RNG)
        (ALC ALI DTM (QTY RNG) (PCD RNG) (MOA RNG) (RTE RNG) (TAX MOA))
        (RCS RFF DTM FTX)
        (DGS FTX (CTA COM) (MEA) (PAC))
        line:(LIN
            PIA IMD MEA QTY PCD ALI DTM MOA GIN GIR QVR DOC PAI FTX
            (CCI CAV MEA)
            (PAT DTM PCD MOA)
            (PRI CUX APR RNG DTM)
            (RFF DTM)
            (PAC MEA QTY DTM (RFF DTM) (PCI RFF DTM GIN))
            (LOC QTY DTM)
            (TAX MOA LOC)
            (NAD LOC (RFF DTM) (DOC DTM) (CTA COM))
            (ALC ALI DTM (QTY RNG) (PCD RNG) (MOA RNG) (RTE RNG) (TAX MOA))
            (TDT (LOC DTM))
            (TOD LOC)
            (EQD HAN MEA FTX)
            (SCC FTX RFF (QTY DTM))
            (RCS RFF DTM FTX)
            (STG)
            (DGS FTX (CTA COM))
        )
        UNS? MOA CNT
    ",
    columns: &[
        (
            "",
            "UNB02-1 UNB03-1 UNB05 UNH01 UNH02-3 BGM01 BGM02 BGM03
             DTM01-2[137] DTM01-3[137] DTM01-2[2] DTM01-3[2] DTM01-2[4] DTM01-2[64] DTM01-2[63] FTX04-1 FTX04-2
             RFF01-2[ON] RFF01-2[CT] RFF01-2[CR] RFF01-2[PD]
             NAD02-1[BY] NAD04-1[BY] NAD02-1[SU] NAD04-1[SU] NAD02-1[IV]
             NAD02-1[DP] NAD04-1[DP] NAD05-1[DP] NAD06[DP] NAD08[DP] NAD09[DP] NAD02-1[ST] NAD02-1[UC] NAD02-1[CN]
             CUX01-2 TOD03-1 TDT08-1 MOA01-2[79] MOA01-2[86] MOA01-2[128] CNT01-2[1] CNT01-2[2]",
        ),
        (
            "line",
            "LIN01 LIN02 LIN03-1 LIN03-2 PIA02/SA PIA02/IN PIA02/BP PIA02/MF PIA02/UP PIA02/IB PIA02-1 PIA02-2 IMD03-4 IMD03-5
             QTY01-1 QTY01-2 QTY01-3 QTY01-2[21] QTY01-3[21] QTY01-2[59] DTM01-2[2] DTM01-2[64] DTM01-2[63] MOA01-2[203] MOA01-2[66]
             PRI01-2[AAA] PRI01-2[AAB] PRI01-2[AAE] RFF01-2[ON] RFF01-2[CT] LOC02-1 FTX04-1",
        ),
    ],
};

const DESADV: Known = Known {
    set: "DESADV",
    loops: "
        BGM! DTM ALI MEA MOA CUX FTX GIR
        (RFF DTM)
        (NAD LOC (RFF DTM) (CTA COM))
        (TOD LOC FTX)
        (TDT (PCD) (LOC DTM))
        (EQD MEA SEL EQA HAN)
        tree CPS01 CPS02 up 2
        package:(CPS
            FTX QVR
            (PAC MEA QTY (HAN FTX) (PCI RFF DTM GIR GIN DLM))
            line:(LIN
                PIA IMD MEA QTY ALI GIN GIR DLM DTM NAD FTX MOA PAC QVR HAN
                (PRI CUX)
                (RFF DTM NAD CTA)
                (DGS QTY FTX)
                (LOC NAD DTM QTY)
                (SGP QTY)
                (PCI DTM MEA QTY GIN DLM)
                (CCI CAV)
            )
        )
        CNT UNS? AUT
    ",
    columns: &[
        (
            "",
            "UNB02-1 UNB03-1 UNB05 UNH01 UNH02-3 BGM01 BGM02 BGM03
             DTM01-2[137] DTM01-3[137] DTM01-2[11] DTM01-2[17] DTM01-2[2] DTM01-2[35] DTM01-2[191]
             MEA03-2[AAE] RFF01-2[ON] RFF01-2[DQ] RFF01-2[AAS] RFF01-2[CN] RFF01-2[BM] RFF01-2[VN]
             NAD02-1[BY] NAD04-1[BY] NAD02-1[SU] NAD04-1[SU] NAD02-1[SH] NAD02-1[SF]
             NAD02-1[DP] NAD04-1[DP] NAD05-1[DP] NAD06[DP] NAD08[DP] NAD09[DP] NAD02-1[ST] NAD02-1[CN] NAD02-1[CA]
             TDT02 TDT05-1 TDT08-1 EQD02-1 CNT01-2[2] CNT01-2[11]",
        ),
        ("package", "CPS01 CPS02 CPS03 PAC01 PAC03-1 MEA03-2[PD] PCI.GIN02-1[BJ] PCI.GIN02-1[SRV] PCI.GIN02-1[AW] PCI01"),
        (
            "line",
            "LIN01 LIN03-1 LIN03-2 PIA02/SA PIA02/IN PIA02/BP PIA02/NB PIA02/UP PIA02/PV PIA02-1 PIA02-2 IMD03-4 IMD03-5
             QTY01-1 QTY01-2 QTY01-3 QTY01-2[12] QTY01-3[12] QTY01-2[21] QTY01-2[59] QTY01-2[192] QVR01-1 DTM01-2[36] DTM01-2[361] DTM01-2[94]
             GIN02-1[BX] GIN02-1[BN] RFF01-2[ON] RFF01-3[ON] RFF01-2[CT] RFF01-2[AAK] LOC02-1 FTX04-1",
        ),
    ],
};

const RECADV: Known = Known {
    set: "RECADV",
    loops: "
        BGM! DTM ALI FTX GIR
        (RFF DTM)
        (NAD LOC (RFF DTM) (CTA COM))
        (TOD LOC)
        (TDT DTM (LOC DTM) (CDI INP))
        (EQD MEA SEL EQA (CDI INP))
        (CDI INP FTX)
        tree CPS01 CPS02 up 1
        package:(CPS
            FTX
            (PAC MEA QTY (PCI RFF DTM GIN) (QVR DTM) (CDI INP))
            line:(LIN
                PIA IMD MEA QTY GIN GIR DLM DTM NAD FTX MOA ALI
                (QVR DTM)
                (PRI CUX)
                (RFF DTM)
                (LOC NAD DTM QTY)
                (PCI DTM MEA QTY GIN DLM)
                (CDI INP FTX)
                (DGS QTY FTX)
            )
        )
        CNT UNS?
    ",
    columns: &[
        (
            "",
            "UNB02-1 UNB03-1 UNB05 UNH01 UNH02-3 BGM01 BGM02 BGM03
             DTM01-2[137] DTM01-3[137] DTM01-2[50] DTM01-2[2] DTM01-2[35] RFF01-2[ON] RFF01-2[AAK] RFF01-2[DQ] RFF01-2[ALO]
             NAD02-1[BY] NAD04-1[BY] NAD02-1[SU] NAD04-1[SU] NAD02-1[DP] NAD04-1[DP] NAD05-1[DP] NAD02-1[ST] NAD02-1[WH] CNT01-2[2]",
        ),
        ("package", "CPS01 CPS02 PAC01 PAC03-1 PCI.GIN02-1[BJ]"),
        (
            "line",
            "LIN01 LIN03-1 LIN03-2 PIA02/SA PIA02/IN PIA02/BP PIA02/NB PIA02-1 PIA02-2 IMD03-4
             QTY01-1 QTY01-2 QTY01-3 QTY01-2[12] QTY01-2[48] QTY01-2[59] QTY01-2[113] QTY01-2[124] QTY01-2[194] QTY01-2[195]
             QVR01-1 QVR01-2 QVR03-1 DTM01-2[36] DTM01-2[94] DTM01-2[361] GIN02-1[BX] RFF01-2[ON] RFF01-2[VN] RFF01-3[VN] RFF01-2[BT] LOC02-1 CDI01",
        ),
    ],
};

const INVRPT: Known = Known {
    set: "INVRPT",
    loops: "
        BGM! DTM FTX
        (RFF DTM)
        (NAD LOC (RFF DTM) (CTA COM))
        (CUX DTM)
        (TDT LOC DTM)
        line:(LIN
            PIA IMD MEA ALI DTM MOA FTX GIN GIR PAC LOC INV NAD CCI CAV
            (PRI CUX DTM)
            (RFF DTM)
            (TDT LOC DTM)
            quantity:(QTY
                INV GIN GIR LOC DTM STS PRI MEA FTX MOA
                (RFF DTM)
                (NAD LOC (RFF DTM) (CTA COM))
                (CPI CUX)
                (CPS (PAC MEA QTY (PCI GIN DTM)))
                (CCI CAV)
            )
        )
        CNT UNS?
    ",
    columns: &[
        (
            "",
            "UNB02-1 UNB03-1 UNB05 UNH01 UNH02-3 BGM01 BGM02 BGM03
             DTM01-2[137] DTM01-3[137] DTM01-2[366] DTM01-2[194] DTM01-2[206] DTM01-2[90] DTM01-2[91]
             NAD02-1[WH] NAD02-1[GY] NAD02-1[BY] NAD02-1[SU] NAD02-1[CO] NAD02-1[MR] NAD02-1[MS] CUX01-2 CNT01-2[2]",
        ),
        ("line", "LIN01 LIN03-1 LIN03-2 PIA02/SA PIA02/IN PIA02/BP PIA02/NB PIA02/UP PIA02-1 PIA02-2 IMD03-4 LOC02-1 DTM01-2[366] PRI01-2"),
        (
            "quantity",
            "QTY01-1 QTY01-2 QTY01-3 INV01 INV02 INV03 INV04 LOC01 LOC02-1 DTM01-2[137] DTM01-2[366] DTM01-2[171] DTM01-2[7] DTM01-2[361] DTM01-2[36]
             GIN02-1[BX] GIN02-1[BJ] STS01-1 STS02-1 RFF01-1 RFF01-2 NAD02-1",
        ),
    ],
};

const INVOIC: Known = Known {
    set: "INVOIC",
    loops: "
        BGM! DTM PAI ALI IMD FTX GIR
        (RFF DTM)
        (NAD LOC FII (RFF DTM) (DOC DTM) (CTA COM))
        (TAX MOA LOC)
        (CUX DTM)
        (PAT DTM PCD MOA PAI FII)
        (TDT (LOC DTM) (RFF DTM))
        (TOD LOC)
        (PAC MEA (PCI RFF DTM GIN))
        (ALC ALI (RFF DTM) (QTY RNG) (PCD RNG) (MOA RNG) (RTE RNG) (TAX MOA))
        (RCS RFF DTM FTX)
        line:(LIN
            PIA IMD MEA QTY PCD ALI DTM GIN GIR QVR EQD FTX
            (MOA CUX)
            (PAT DTM PCD MOA)
            (PRI APR RNG)
            (RFF DTM)
            (PAC MEA (PCI RFF DTM GIN))
            (LOC QTY DTM)
            (TAX MOA LOC)
            (NAD LOC (RFF DTM) (DOC DTM) (CTA COM))
            (ALC ALI (QTY RNG) (PCD RNG) (MOA RNG) (RTE RNG) (TAX MOA))
            (TDT (LOC DTM))
            (TOD LOC)
            (RCS RFF DTM FTX)
        )
        UNS? CNT
        (MOA (RFF DTM))
    ",
    columns: &[
        (
            "",
            "UNB02-1 UNB03-1 UNB05 UNH01 UNH02-3 BGM01 BGM02 BGM03
             DTM01-2[137] DTM01-3[137] DTM01-2[3] DTM01-3[3] DTM01-2[35] DTM01-2[1]
             RFF01-2[ON] RFF01-2[DQ] RFF01-2[AAK] RFF01-2[IV] RFF01-2[CT] RFF01-2[CO]
             NAD02-1[BY] NAD04-1[BY] NAD[BY].RFF01-2[VA] NAD02-1[SU] NAD04-1[SU] NAD[SU].RFF01-2[VA] NAD02-1[SE] NAD04-1[SE]
             NAD02-1[IV] NAD04-1[IV] NAD02-1[DP] NAD04-1[DP] NAD02-1[ST] NAD02-1[BT] NAD04-1[BT] NAD02-1[PE]
             CUX01-2 PAT01 PAT.DTM01-2[13] PAT.DTM01-2[140] TOD03-1
             MOA01-2[9] MOA01-2[77] MOA01-2[39] MOA01-2[79] MOA01-2[86] MOA01-2[124] MOA01-2[125] MOA01-2[128] MOA01-2[176]
             TAX05-4 TAX06 TAX.MOA01-2[124] TAX.MOA01-2[125] ALC01 ALC.MOA01-2[8] ALC.MOA01-2[23] CNT01-2[2]",
        ),
        (
            "line",
            "LIN01 LIN03-1 LIN03-2 PIA02/SA PIA02/IN PIA02/BP PIA02/MF PIA02/UP PIA02-1 PIA02-2 IMD03-4 IMD03-5
             QTY01-1 QTY01-2 QTY01-3 QTY01-2[47] QTY01-3[47] QTY01-2[12] QTY01-2[46]
             MOA01-2[203] MOA01-2[66] MOA01-2[38] PRI01-2[AAA] PRI01-2[AAB] PRI01-2[INV] PRI01-5
             RFF01-2[ON] RFF01-2[DQ] RFF01-2[AAK] RFF01-2[CO] TAX05-4 TAX06 ALC01 DTM01-2[11]",
        ),
    ],
};
