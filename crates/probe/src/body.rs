//! Text in the body of an answer.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::Response;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::failure::Failed;

/// Octets of the decoded body that are searched (Route 53).
const SEARCHED: usize = 5120;
/// Octets of an encoded body that are read, at most: an encoding can say
/// nothing at any length.
const READ: usize = 64 * 1024;

/// Looks for the text in the first 5120 octets of the body.
///
/// # Errors
/// When it is not there, or the body cannot be read or decoded.
pub(crate) async fn search(response: Response<Incoming>, text: &str) -> Result<(), Failed> {
    let encoding = response.headers().get(CONTENT_ENCODING).map(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .trim()
            .to_ascii_lowercase()
    });
    let mut decoder = Decoder::new(encoding.as_deref().unwrap_or_default())?;
    let mut body = response.into_body();
    let mut read = 0;
    while !decoder.is_full() && read < READ {
        let Some(frame) = body.frame().await else {
            break;
        };
        if let Some(data) = frame?.data_ref() {
            read += data.len();
            decoder.take(data)?;
            if contains(decoder.decoded(), text) {
                return Ok(());
            }
        }
    }
    decoder.finish();
    if contains(decoder.decoded(), text) {
        return Ok(());
    }
    Err(Failed::new(
        "body",
        format!("the first {SEARCHED} octets of the body do not contain {text:?}"),
    ))
}

fn contains(body: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
}

/// Undoes the encoding of a body.
enum Decoder {
    Plain(Searched),
    Gzip(MultiGzDecoder<Searched>),
    /// `deflate`, before its first octet: some send zlib, some do not.
    Undecided,
    Zlib(ZlibDecoder<Searched>),
    Deflate(DeflateDecoder<Searched>),
}

impl Decoder {
    fn new(encoding: &str) -> Result<Self, Failed> {
        match encoding {
            "" | "identity" => Ok(Self::Plain(Searched::default())),
            "gzip" | "x-gzip" => Ok(Self::Gzip(MultiGzDecoder::new(Searched::default()))),
            "deflate" => Ok(Self::Undecided),
            other => Err(Failed::new(
                "body",
                format!("the body has the encoding {other:?}; gzip and deflate can be searched"),
            )),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Failed> {
        if let (Self::Undecided, Some(first)) = (&*self, data.first()) {
            // RFC 1950: the low half of the first octet is the method, 8. In
            // RFC 1951 these would be a stored block of a form that no encoder
            // writes first.
            *self = if first & 0x0f == 8 {
                Self::Zlib(ZlibDecoder::new(Searched::default()))
            } else {
                Self::Deflate(DeflateDecoder::new(Searched::default()))
            };
        }
        let written = match self {
            Self::Plain(searched) => write(searched, data),
            Self::Gzip(decoder) => write(decoder, data),
            Self::Zlib(decoder) => write(decoder, data),
            Self::Deflate(decoder) => write(decoder, data),
            Self::Undecided => Ok(()),
        };
        match written {
            // The rest is not looked at, and not decoded either.
            Err(_) if self.is_full() => Ok(()),
            Err(error) => Err(Failed::new(
                "body",
                format!("the body cannot be decoded: {error}"),
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Has everything that was taken decoded. What is missing or wrong at the
    /// end does not matter to what came before.
    fn finish(&mut self) {
        let _ = match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Plain(_) | Self::Undecided => Ok(()),
        };
    }

    fn is_full(&self) -> bool {
        self.decoded().len() >= SEARCHED
    }

    fn decoded(&self) -> &[u8] {
        match self {
            Self::Plain(searched) => &searched.0,
            Self::Gzip(decoder) => &decoder.get_ref().0,
            Self::Zlib(decoder) => &decoder.get_ref().0,
            Self::Deflate(decoder) => &decoder.get_ref().0,
            Self::Undecided => &[],
        }
    }
}

/// Decodes all of it now: the body may go on slowly.
fn write(decoder: &mut impl Write, data: &[u8]) -> io::Result<()> {
    decoder.write_all(data)?;
    decoder.flush()
}

/// The octets that are searched. When there are enough, it takes no more: this
/// ends the decoding of a body however large it would become.
#[derive(Default)]
struct Searched(Vec<u8>);

impl Write for Searched {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = SEARCHED.saturating_sub(self.0.len());
        let taken = data.get(..room.min(data.len())).unwrap_or_default();
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
