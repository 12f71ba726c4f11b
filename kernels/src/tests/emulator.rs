//! The kernels on the host: a child process made of `tests/emulator/emulator.cpp` and the kernel sources, under the address sanitiser.

use crate::error::Error;
use crate::gpu::{Gpu, Memory, Source};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// An emulated GPU.
pub(crate) struct Emulator(Mutex<Pipes>);

struct Pipes {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

/// Frees memory when dropped.
struct Freeing {
    emulator: Arc<Emulator>,
    address: u64,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        self.emulator.tell(b'F', &[self.address], &[], 0);
    }
}

/// What the device is, behind one more pointer, so that memory can hold on to it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Emulator>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

impl Emulator {
    /// Compiles the sources and starts them; otherwise says why not.
    pub(crate) fn start() -> Result<Arc<Shared>, String> {
        let program = compile()?;
        let started = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let emulator = Self(Mutex::new(Pipes { child, to, from }));
        // The file is open in the child; its name is not needed any more.
        std::fs::remove_file(&program).map_err(|error| error.to_string())?;
        Ok(Arc::new(Shared(Arc::new(emulator))))
    }

    fn tell(&self, command: u8, words: &[u64], data: &[u8], answer: usize) -> Vec<u8> {
        let mut pipes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut message = vec![command];
        message.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        message.extend(data);
        let mut back = vec![0; answer];
        let done = pipes.to.write_all(&message).and_then(|()| pipes.from.read_exact(&mut back));
        if let Err(error) = done {
            let status = pipes.child.wait();
            panic!("the emulator ended at command {}: {error}, {status:?}", char::from(command));
        }
        back
    }

    fn ask(&self, command: u8, words: &[u64], data: &[u8]) -> u64 {
        u64::from_le_bytes(self.tell(command, words, data, 8).try_into().unwrap())
    }
}

fn compile() -> Result<PathBuf, String> {
    let compiler = std::env::var("TOPRUNG_CXX").unwrap_or_else(|_| "c++".to_owned());
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::temp_dir().join(format!("toprung-emulator-{}", std::process::id()));
    let with = |options: &[&str]| {
        Command::new(&compiler)
            .args(["-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unknown-pragmas"])
            .args(options)
            .arg("-I")
            .arg(home.join("src/cuda"))
            .arg(home.join("tests/emulator/emulator.cpp"))
            .arg("-o")
            .arg(&program)
            .output()
    };
    let sanitised = with(&["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]);
    let done = match sanitised {
        Ok(output) if output.status.success() => return Ok(program),
        Ok(_) => with(&[]),
        Err(error) => return Err(format!("no C++ compiler {compiler} ({error})")),
    };
    match done {
        Ok(output) if output.status.success() => {
            eprintln!("the emulated GPU runs without sanitisers");
            Ok(program)
        }
        Ok(output) => panic!("{compiler}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => Err(error.to_string()),
    }
}

impl Gpu for Shared {
    fn label(&self) -> String {
        "emulated GPU".to_owned()
    }

    fn processors(&self) -> u64 {
        1
    }

    /// Little, so that replicates are played in several batches.
    fn free_bytes(&self) -> Result<u64, Error> {
        Ok(1 << 20)
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Error> {
        let address = self.0.ask(b'A', &[bytes as u64], &[]);
        Ok(Memory { address, bytes, _keep: Box::new(Freeing { emulator: Arc::clone(&self.0), address }) })
    }

    fn write(&self, to: &Memory, bytes: &[u8]) -> Result<(), Error> {
        assert!(bytes.len() <= to.bytes);
        self.0.tell(b'W', &[to.address, bytes.len() as u64], bytes, 0);
        Ok(())
    }

    fn read(&self, from: &Memory, bytes: &mut [u8]) -> Result<(), Error> {
        assert!(bytes.len() <= from.bytes);
        bytes.copy_from_slice(&self.0.tell(b'R', &[from.address, bytes.len() as u64], &[], bytes.len()));
        Ok(())
    }

    fn copy(&self, from: u64, to: &Memory, bytes: usize) -> Result<(), Error> {
        self.0.tell(b'C', &[from, to.address, bytes as u64], &[], 0);
        Ok(())
    }

    fn launch(&self, _: Source, kernel: &str, blocks: u64, arguments: &[u64]) -> Result<(), Error> {
        if blocks == 0 {
            return Ok(());
        }
        let words = [blocks, arguments.len() as u64, kernel.len() as u64];
        let data: Vec<u8> =
            kernel.bytes().chain(arguments.iter().flat_map(|word| word.to_le_bytes())).collect();
        match self.0.ask(b'L', &words, &data) {
            0 => Ok(()),
            1 => panic!("there is no kernel {kernel}"),
            _ => panic!("kernel {kernel} has another number of parameters than {}", arguments.len()),
        }
    }

    fn synchronize(&self) -> Result<(), Error> {
        Ok(())
    }
}
