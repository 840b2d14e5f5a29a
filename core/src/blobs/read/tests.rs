//! Tests of reading blobs, on both kinds of store.

use std::time::Duration;

use futures_util::future::join_all;
use object_store::{ObjectStore, memory::InMemory};
use tempfile::TempDir;

use super::*;
use crate::{
    blobs::{NewBlob, PIECE, Place, directory::Directory},
    id::Id,
    room,
};

const MIB: u64 = 1024 * 1024;

struct Fixture {
    blobs: Blobs,
    _files: TempDir,
}

/// A blob store of each kind, with a spool of this size.
fn stores(spool: u64) -> [Fixture; 2] {
    [false, true].map(|remote| {
        let files = tempfile::tempdir().unwrap();
        let backend = if remote {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            Backend::Store(store)
        } else {
            Backend::Directory(Directory::new(&files.path().join("blobs")).unwrap())
        };
        let room = room::Room::new(spool);
        let blobs = Blobs::on(backend, files.path().to_owned(), room);
        Fixture { blobs, _files: files }
    })
}

fn noise(length: usize) -> Bytes {
    let mut noise = vec![0; length];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut noise);
    noise.into()
}

fn text(length: usize) -> Bytes {
    (0_u32..).flat_map(|n| format!("Line {n}\r\n").into_bytes()).take(length).collect()
}

/// What the database says of a blob.
fn row(blob: &NewBlob) -> BlobRow {
    let (data, object) = match &blob.place {
        Place::Inline(bytes) => (Some(bytes.to_vec()), None),
        Place::Object(name) => (None, Some(name.clone())),
    };
    BlobRow {
        size_bytes: i64::try_from(blob.size).unwrap(),
        compression: if blob.compressed { "zstd" } else { "none" }.to_owned(),
        data,
        object,
    }
}

async fn store(blobs: &Blobs, bytes: &Bytes) -> NewBlob {
    let account = Id::new(time::OffsetDateTime::UNIX_EPOCH);
    blobs.prepare(account, bytes.clone()).await.unwrap()
}

async fn in_pieces(body: &Body) -> Vec<u8> {
    let (mut all, mut pieces) = (Vec::new(), body.pieces());
    while let Some(piece) = pieces.next().await {
        let piece = piece.unwrap();
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    all
}

#[tokio::test]
async fn what_was_stored_comes_back() {
    for Fixture { blobs, _files } in stores(64 * MIB) {
        for length in [0, 100, 100_000, 128 * 1024, 128 * 1024 + 1, 3_000_000] {
            for bytes in [noise(length), text(length)] {
                let blob = store(&blobs, &bytes).await;
                let stored = blobs.stored(&blob.hash, row(&blob)).unwrap();
                assert_eq!(stored.len(), u64::try_from(length).unwrap());
                let body = blobs.open(&stored).await.unwrap();
                let small = length <= 128 * 1024;
                assert_eq!(body.in_memory().is_some(), small, "{length}");
                assert_eq!(body.bytes().await.unwrap(), bytes);
                assert_eq!(in_pieces(&body).await, bytes);
            }
        }
    }
}

#[tokio::test]
async fn any_part_can_be_cut_out() {
    let [Fixture { blobs, _files }, _] = stores(64 * MIB);
    let bytes = noise(200_000);
    let blob = store(&blobs, &bytes).await;
    let stored = blobs.stored(&blob.hash, row(&blob)).unwrap();
    let body = blobs.open(&stored).await.unwrap().behind(b"Head: er\r\n");
    let whole = [b"Head: er\r\n", &bytes[..]].concat();
    let piece = usize::try_from(PIECE).unwrap();
    let places = [0, 4, 10, 11, piece, piece + 10, 2 * piece + 3, 200_009, 200_010];
    for from in places {
        for to in places.into_iter().filter(|to| *to >= from) {
            let range = u64::try_from(from).unwrap()..u64::try_from(to).unwrap();
            let part = body.slice(range.clone());
            assert_eq!(part.len(), range.end - range.start);
            assert_eq!(part.bytes().await.unwrap(), &whole[from..to], "{range:?}");
            assert_eq!(in_pieces(&part).await, &whole[from..to], "{range:?}");
            let again = part.slice(1..u64::MAX);
            let rest = whole.get(from + 1..to).unwrap_or_default();
            assert_eq!(again.bytes().await.unwrap(), rest, "{range:?}");
        }
    }
    assert_eq!(body.slice(200_000..900_000).len(), 10);
    assert!(body.slice(900_000..900_001).is_empty());
}

#[tokio::test]
async fn all_who_read_at_a_time_share_one_file_and_its_room_comes_back() {
    for Fixture { blobs, _files } in stores(3 * MIB) {
        let (one, other) = (noise(2_000_000), noise(2_000_001));
        let (one, other) = (store(&blobs, &one).await, store(&blobs, &other).await);
        let open = async |blob: &NewBlob| {
            let stored = blobs.stored(&blob.hash, row(blob))?;
            blobs.open(&stored).await
        };
        let bodies = join_all((0..5).map(|_| open(&one))).await;
        let bodies: Vec<Body> = bodies.into_iter().map(Result::unwrap).collect();
        assert!(matches!(open(&other).await, Err(Error::StorageFull(_))));
        // A reader in the middle keeps the file.
        let mut pieces = bodies[0].pieces();
        pieces.next().await.unwrap().unwrap();
        drop(bodies);
        assert!(matches!(open(&other).await, Err(Error::StorageFull(_))));
        drop(pieces);
        let mut again = open(&other).await;
        for _ in 0..100 {
            if again.is_ok() {
                break;
            }
            // The piece that was read ahead.
            tokio::time::sleep(Duration::from_millis(10)).await;
            again = open(&other).await;
        }
        assert_eq!(again.unwrap().len(), 2_000_001);
    }
}

#[tokio::test]
async fn nothing_of_a_damaged_object_is_seen() {
    let [Fixture { blobs, _files }, _] = stores(64 * MIB);
    let Backend::Directory(directory) = &blobs.backend else { panic!("a directory") };
    for bytes in [noise(1_000_000), text(1_000_000)] {
        let blob = store(&blobs, &bytes).await;
        let Place::Object(name) = &blob.place else { panic!("an object") };
        let path = directory.path(name);
        let good = std::fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let longer = [&good[..], b"x"].concat();
        let twice = good.repeat(2);
        let cut = good[..good.len() - 1].to_vec();
        for bad in [flipped, longer, twice, cut, Vec::new(), b"other".to_vec()] {
            std::fs::write(&path, bad).unwrap();
            let stored = blobs.stored(&blob.hash, row(&blob)).unwrap();
            assert!(matches!(blobs.open(&stored).await, Err(Error::Internal(_))));
            assert!(stored.opened().is_none());
        }
        std::fs::remove_file(&path).unwrap();
        let stored = blobs.stored(&blob.hash, row(&blob)).unwrap();
        assert!(matches!(blobs.open(&stored).await, Err(Error::Internal(_))));
        std::fs::write(&path, &good).unwrap();
        assert_eq!(blobs.open(&stored).await.unwrap().bytes().await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn large_octets_can_be_put_into_the_spool() {
    let [Fixture { blobs, _files }, _] = stores(MIB);
    let large = noise(1_000_000);
    let body = blobs.spooled(large.clone()).await.unwrap();
    assert!(body.in_memory().is_none());
    assert_eq!(in_pieces(&body).await, large);
    assert!(matches!(blobs.spooled(large.clone()).await, Err(Error::StorageFull(_))));
    assert!(blobs.spooled(noise(1000)).await.unwrap().in_memory().is_some());
    drop(body);
    blobs.spooled(large).await.unwrap();
}
