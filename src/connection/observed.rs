//! A socket that tells how its connection gets on.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arrayvec::ArrayVec;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::progress::Progress;

/// The longest answer that is put together here, in bytes: one buffer costs the kernel less than the
/// several that hyper has for head and body.
const SMALL: usize = 2048;

/// A socket that notes when something passes.
pub(super) struct Observed {
    pub(super) stream: TcpStream,
    pub(super) progress: Arc<Progress>,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.bytes_read();
        }
        polled
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(polled, Poll::Ready(Ok(written)) if written > 0) {
            self.progress.bytes_written();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        let stream = Pin::new(&mut self.stream);
        let polled = if length <= SMALL {
            let mut together = ArrayVec::<u8, SMALL>::new();
            for buf in bufs {
                // There is room: all of them together are not longer.
                let _ = together.try_extend_from_slice(buf);
            }
            stream.poll_write(cx, &together)
        } else {
            stream.poll_write_vectored(cx, bufs)
        };
        if matches!(polled, Poll::Ready(Ok(written)) if written > 0) {
            self.progress.bytes_written();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
