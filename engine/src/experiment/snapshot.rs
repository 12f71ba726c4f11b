//! The state as bytes: postcard, with prost messages kept in their own encoding.
//!
//! A snapshot only saves time. It carries [`VERSION`]; one of another version is not read, and the journal is folded
//! from its beginning instead.

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Machine, Spec, machine::Fold};

/// Version of the encoding. Raise it with every change of [`Fold`] or of the searchers' state.
pub const VERSION: u32 = 6;

/// A prost message inside a serde structure.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Stored<M>(pub M);

impl<M: Message> Serialize for Stored<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.encode_to_vec())
    }
}

impl<'de, M: Message + Default> Deserialize<'de> for Stored<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <Vec<u8>>::deserialize(deserializer)?;
        M::decode(bytes.as_slice()).map(Stored).map_err(D::Error::custom)
    }
}

/// The state as bytes.
pub fn encode(machine: &Machine) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_stdvec(&machine.fold)
}

/// The state from bytes that [`encode`] wrote.
pub fn decode(spec: Spec, bytes: &[u8]) -> Result<Machine, postcard::Error> {
    let fold: Fold = postcard::from_bytes(bytes)?;
    Ok(Machine { spec, fold })
}
