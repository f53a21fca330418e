//! Counts round trips to Postgres where they happen: between the two, on the wire.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;

use crate::house::HouseError;

/// More than the requests of a group: what is sent together comes in one read.
const READ_MAX: usize = 1 << 20;

/// How many times clients asked anew while nothing of theirs was under way: what is sent without waiting for an answer is one trip.
#[derive(Clone, Debug, Default)]
pub struct Trips(Arc<AtomicU64>);

impl Trips {
    /// Since the store was opened.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Listens on a port of its own and passes everything on; lives until the process ends.
    pub(crate) fn before(&self, server: SocketAddr) -> Result<SocketAddr, HouseError> {
        let failed = |e: io::Error| HouseError::Engine(format!("counting round trips: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let here = listener.local_addr().map_err(failed)?;
        let trips = self.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(server) {
                    // A connection that does not come about is one that closes.
                    let _ = trips.join(client, server);
                }
            }
        });
        Ok(here)
    }

    fn join(&self, client: TcpStream, server: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let under_way = Arc::new(AtomicI64::new(0));
        let (trips, asked) = (self.clone(), Arc::clone(&under_way));
        thread::spawn(move || {
            // The first message has no type.
            let ask = move |kind| {
                if matches!(kind, b'S' | b'Q') && asked.fetch_add(1, Ordering::SeqCst) == 0 {
                    trips.0.fetch_add(1, Ordering::SeqCst);
                }
            };
            pass(from_client, server, false, ask)
        });
        thread::spawn(move || {
            let mut greeted = false;
            let answer = move |kind| {
                // The first of them says that the server is ready at all.
                if kind == b'Z' && std::mem::replace(&mut greeted, true) {
                    under_way.fetch_sub(1, Ordering::SeqCst);
                }
            };
            pass(from_server, client, true, answer)
        });
        Ok(())
    }
}

/// Passes bytes on, and says of which type each message is that begins in them.
fn pass(mut from: TcpStream, mut to: TcpStream, mut typed: bool, mut message: impl FnMut(u8)) -> io::Result<()> {
    let mut chunk = vec![0; READ_MAX];
    let mut head = Vec::new();
    let mut skip = 0_usize;
    loop {
        let n = from.read(&mut chunk).unwrap_or(0);
        let bytes = chunk.get(..n).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown(Shutdown::Both);
        }
        for byte in bytes {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            head.push(*byte);
            let of_length = if typed { head.get(1..5) } else { head.get(..4) };
            let Some(length) = of_length.and_then(|b| <[u8; 4]>::try_from(b).ok()) else { continue };
            // The length counts itself.
            skip = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0).saturating_sub(4);
            if let (true, Some(kind)) = (typed, head.first()) {
                message(*kind);
            }
            typed = true;
            head.clear();
        }
        to.write_all(bytes)?;
    }
}
