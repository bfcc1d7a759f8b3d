//! Length-prefixed frames on a QUIC stream, with a limit on each.

use quinn::RecvStream;

use crate::wire::WireError;

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream or the connection is over.
    #[error("the connection is over")]
    Over,
    /// The frame is no good.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Reads one frame's body. The buffer grows with what arrives, not with what the length claims. Calls `arriving` for
/// each part: whoever sends a large frame over a slow line is not silent.
pub(crate) async fn read(
    stream: &mut RecvStream,
    limit: usize,
    mut arriving: impl FnMut(),
) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|_| FrameError::Over)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(WireError::TooLarge.into());
    }
    let mut body = Vec::new();
    while body.len() < length {
        let missing = (length - body.len()).min(64 << 10);
        let chunk = stream.read_chunk(missing, true).await.map_err(|_| FrameError::Over)?.ok_or(FrameError::Over)?;
        body.extend_from_slice(&chunk.bytes);
        arriving();
    }
    Ok(body)
}

/// Named reasons with which a connection is closed.
pub(crate) mod close {
    /// Left on purpose.
    pub(crate) const LEFT: u32 = 0;
    /// Broke the protocol.
    pub(crate) const PROTOCOL: u32 = 1;
    /// Too slow to be told what happens.
    pub(crate) const TOO_SLOW: u32 = 2;
    /// Not let in.
    pub(crate) const REFUSED: u32 = 3;
    /// Of a stream: it cannot be served now; ask again.
    pub(crate) const BUSY: u32 = 5;
    /// Of a stream: a newer answer takes its place.
    pub(crate) const REPLACED: u32 = 4;
}
