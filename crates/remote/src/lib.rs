//! Remote write, the receiving side: what arrives as snappy and protobuf becomes batches of points for a store.
//!
//! Nothing here knows HTTP: [`write::Receiver`] is given header values and a body and gives back what was written or a status
//! with a text. It blocks and is meant for a thread that may. Listening, bounding connections and reading bodies is `web`'s;
//! what a batch does to the disk is the store's. Sending, remote write 2.0 and remote read are not here yet.

mod wire;
pub mod write;
