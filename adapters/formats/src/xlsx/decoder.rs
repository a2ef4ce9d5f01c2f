//! Keeps the file, then reads its sheet.

use std::fmt;
use std::sync::Arc;

use dray_adapter::Shape;

use super::held::Held;
use super::package::{self, Workbook};
use super::rows::{Columns, Row};
use super::{XLSX_BYTES_MAX, XlsxConfig};
use crate::{Decoded, FileFault, Sink};

/// Bytes by which the kept file grows at least: a copy now and then, and little that is not needed.
const GROWTH_BYTES: usize = 1024 * 1024;

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Xlsx {
    config: Arc<XlsxConfig>,
    /// The names, of the configuration or of the file before.
    shape: Option<Arc<Shape>>,
}

impl Xlsx {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`XlsxConfig::faults`].
    pub fn new(config: &XlsxConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let shape = (!config.has_header()).then(|| {
            Arc::new(Shape {
                record_type: String::new(),
                columns: config.columns.clone(),
            })
        });
        Ok(Self {
            config: Arc::new(config.clone()),
            shape,
        })
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        let named = self.shape.clone().filter(|_| !self.config.has_header());
        Decoder {
            xlsx: self.clone(),
            file: Vec::new(),
            sheet: None,
            columns: named.map_or_else(Columns::default, Columns::named),
            held: Held::default(),
            ordinal: 0,
            skip,
        }
    }

    /// Keeps the names of a decoder's file, so that the next file with the same header shares them
    /// and nobody has to resolve them again.
    pub fn remember(&mut self, decoder: &Decoder) {
        if decoder.columns.shape.is_some() {
            self.shape.clone_from(&decoder.columns.shape);
        }
    }
}

/// Decodes one file. See [`Xlsx::decoder`].
#[derive(Debug)]
pub struct Decoder {
    xlsx: Xlsx,
    /// The file, until all of it is there.
    file: Vec<u8>,
    sheet: Option<Box<Sheet>>,
    columns: Columns,
    held: Held,
    ordinal: u64,
    skip: u64,
}

/// The sheet that is read.
struct Sheet {
    workbook: Workbook,
    name: String,
    /// Its cells that were read. There reading goes on when what is held is handed out.
    cells: u64,
    ended: bool,
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, cells, ended, ..
        } = self;
        write!(f, "Sheet {{ {name}, {cells} cells, ended: {ended} }}")
    }
}

impl Decoder {
    /// Takes `window`, which begins with what the call before left, and at the `end` reads the sheet. Stops when `sink` is full, and goes on
    /// in the next call.
    ///
    /// # Errors
    /// [`FileFault`] when the file is no workbook, is too large, or its header or sheet can't be read.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        if self.sheet.is_none() {
            self.gather(window, end)?;
        }
        let done = match &self.sheet {
            None => false,
            Some(_) => self.read(sink)?,
        };
        Ok(Decoded {
            bytes: window.len(),
            done,
        })
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Keeps the window; at the end opens the workbook.
    fn gather(&mut self, window: &[u8], end: bool) -> Result<(), FileFault> {
        let bytes = self.file.len() + window.len();
        if bytes > self.file.capacity() {
            let more = window.len().max(GROWTH_BYTES);
            self.file.reserve_exact(more);
        }
        self.file
            .extend_from_slice(&window[..window.len().min(XLSX_BYTES_MAX - self.file.len())]);
        if self.file.len() >= package::MAGIC_BYTES || end {
            package::check_magic(&self.file).map_err(FileFault)?;
        }
        if bytes > XLSX_BYTES_MAX {
            return Err(FileFault(format!(
                "the workbook is larger than {XLSX_BYTES_MAX} bytes; have its rows sent in several workbooks, or as CSV"
            )));
        }
        if !end {
            return Ok(());
        }
        let file = std::mem::take(&mut self.file);
        let workbook = package::open(file).map_err(FileFault)?;
        let name = package::sheet_name(&workbook, &self.xlsx.config.sheet).map_err(FileFault)?;
        self.sheet = Some(Box::new(Sheet {
            workbook,
            name,
            cells: 0,
            ended: false,
        }));
        Ok(())
    }

    /// Hands out rows; whether that were all of the sheet.
    fn read<S: Sink>(&mut self, sink: &mut S) -> Result<bool, FileFault> {
        loop {
            if let Some(shape) = &self.columns.shape
                && !self.held.give(shape, &mut self.ordinal, self.skip, sink)
            {
                return Ok(false);
            }
            let sheet = self.sheet.as_mut().expect("it was opened");
            if sheet.ended {
                return Ok(true);
            }
            if sink.full() {
                return Ok(false);
            }
            let (columns, held) = (&mut self.columns, &mut self.held);
            package::guarded(|| sheet.fill(columns, &self.xlsx, held))
                .map_err(|reason| FileFault(format!("sheet \"{}\": {reason}", sheet.name)))?;
        }
    }
}

impl Sheet {
    /// Reads rows from where it stands until enough are held.
    fn fill(&mut self, columns: &mut Columns, xlsx: &Xlsx, held: &mut Held) -> Result<(), String> {
        let is_1904 = self.workbook.has_1904_epoch();
        let said = |error: calamine::XlsxError| error.to_string();
        let mut reader = self
            .workbook
            .worksheet_cells_reader(&self.name)
            .map_err(said)?;
        for _ in 0..self.cells {
            reader.next_cell().map_err(said)?;
        }
        let config = &xlsx.config;
        let mut row = Row::default();
        loop {
            let cell = reader.next_cell_with_formula_metadata().map_err(said)?;
            if !cell.as_ref().is_some_and(|cell| row.has(cell)) {
                let (skip, required) = (config.skip_rows, &config.columns);
                columns.take(&row, skip, required, xlsx.shape.as_ref(), held)?;
                match &cell {
                    Some(cell) if !held.is_full() => row.begin(cell.pos.0),
                    Some(_) => return Ok(()),
                    None => {
                        self.ended = true;
                        return Ok(());
                    }
                }
            }
            if let Some(cell) = cell {
                row.put(&cell, is_1904)?;
                self.cells += 1;
            }
        }
    }
}
