//! A connection that can be made to misbehave below HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// What happens to the bytes that are written from now on.
#[derive(Debug, Default)]
pub(crate) enum WireFault {
    #[default]
    None,
    /// The connection ends after this many bytes.
    CutAfter(usize),
    /// Nothing more is sent after this many bytes.
    StallAfter(usize),
    /// Our side is closed after this many bytes; reading goes on.
    HalfCloseAfter(usize),
    /// A few bytes at a time.
    Drip {
        bytes: usize,
        every: Duration,
        pause: Option<Pin<Box<Sleep>>>,
    },
    /// Something that is not HTTP, then the end.
    Garbage,
    /// The connection ends when the bytes of one answer have been sent.
    CloseAfterAnswer {
        /// Whether any have.
        sent: bool,
    },
    /// Our side is closed: what is written goes nowhere.
    Closed,
}

/// Noise that no HTTP parser takes for a status line.
const GARBAGE: &[u8] = b"\x00\xff\x13\x37 segmentation fault (core dumped)\r\n\r\n\x7fELF\x02\x01\x01";

/// Sets the fault of one connection from the outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct WireControl {
    fault: Arc<Mutex<WireFault>>,
    /// When the last answer on this connection was ready.
    answered: Arc<Mutex<Option<Instant>>>,
}

impl WireControl {
    pub(crate) fn set(&self, fault: WireFault) {
        *self.fault.lock() = fault;
    }

    /// Notes that an answer is ready.
    pub(crate) fn note_answer(&self) {
        *self.answered.lock() = Some(Instant::now());
    }

    /// When the last answer was ready.
    pub(crate) fn last_answer(&self) -> Option<Instant> {
        *self.answered.lock()
    }
}

/// A TCP stream under the control of a [`WireControl`].
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    control: WireControl,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, control: WireControl) -> Self {
        Self { stream, control }
    }

    fn write(
        stream: &mut TcpStream,
        fault: &mut WireFault,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(stream);
        match fault {
            WireFault::None => stream.poll_write(context, bytes),
            WireFault::CloseAfterAnswer { sent } => {
                *sent = true;
                stream.poll_write(context, bytes)
            }
            WireFault::Closed => Poll::Ready(Ok(bytes.len())),
            WireFault::CutAfter(0) => Poll::Ready(Err(cut())),
            // Nothing will ever wake this write: the connection stays as it is until the client leaves.
            WireFault::StallAfter(0) => Poll::Pending,
            WireFault::HalfCloseAfter(0) => {
                std::task::ready!(stream.poll_shutdown(context))?;
                *fault = WireFault::Closed;
                Poll::Ready(Ok(bytes.len()))
            }
            WireFault::CutAfter(left) | WireFault::StallAfter(left) | WireFault::HalfCloseAfter(left) => {
                let some = &bytes[..bytes.len().min(*left)];
                let written = std::task::ready!(stream.poll_write(context, some))?;
                *left -= written;
                Poll::Ready(Ok(written))
            }
            WireFault::Drip {
                bytes: at_once,
                every,
                pause,
            } => {
                if let Some(sleep) = pause {
                    std::task::ready!(sleep.as_mut().poll(context));
                }
                *pause = Some(Box::pin(tokio::time::sleep(*every)));
                stream.poll_write(context, &bytes[..bytes.len().min((*at_once).max(1))])
            }
            WireFault::Garbage => {
                std::task::ready!(stream.poll_write(context, GARBAGE))?;
                *fault = WireFault::CutAfter(0);
                Poll::Ready(Err(cut()))
            }
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "a fault cut this connection")
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, control } = &mut *self;
        Self::write(stream, &mut control.fault.lock(), context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, control } = &mut *self;
        let fault = &mut *control.fault.lock();
        if let WireFault::CloseAfterAnswer { sent } = fault {
            *sent = true;
        }
        if matches!(fault, WireFault::None | WireFault::CloseAfterAnswer { .. }) {
            return Pin::new(stream).poll_write_vectored(context, parts);
        }
        let first = parts
            .iter()
            .find(|part| !part.is_empty())
            .map_or(&[][..], |part| &**part);
        Self::write(stream, fault, context, first)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        let mut fault = self.control.fault.lock();
        if matches!(*fault, WireFault::CloseAfterAnswer { sent: true }) {
            *fault = WireFault::CutAfter(0);
            drop(fault);
            std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            return Poll::Ready(Err(cut()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
