       01  STOCK.
           05  SKU       PIC X(8).
           05  WH        PIC X(4).
           05  ON-HAND   PIC S9(7)V99 COMP-3.
           05  BINS      PIC 9(4) COMP.
           05  PRICE     PIC S9(5)V99.
