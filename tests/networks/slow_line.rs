//! A line that takes its time: a proxy in the router that passes every byte on, each a fixed time later.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces under way in one direction.
const UNDER_WAY: usize = 4_096;

/// Starts the proxy in the network of `namespace`; it ends with the test's process. Returns when it listens.
pub fn start(namespace: &str, listen: &'static str, target: &'static str, delay: Duration) {
    let namespace = File::open(namespace).unwrap();
    let (ready, listens) = sync_channel(1);
    thread::spawn(move || {
        // Only this thread, and those that it starts, are in that network.
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let listener = TcpListener::bind(listen).unwrap();
        ready.send(()).unwrap();
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(server) = TcpStream::connect(target) else { continue };
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), delay);
            pass_on(server, client, delay);
        }
    });
    listens.recv_timeout(Duration::from_secs(10)).unwrap();
}

fn pass_on(mut from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    thread::spawn(move || deliver(to, &receiver));
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn deliver(mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, piece)) = pieces.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(Shutdown::Both);
}
