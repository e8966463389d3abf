//! Throughput of each primitive, the OPRF beside the `voprf` crate on the same work in the same run. Ratios between lines
//! are what counts; the first line is the unit V of the project's targets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{hint::black_box, io::Cursor};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use curve25519_dalek::{RistrettoPoint, Scalar};
use getrandom::{SysRng, rand_core::UnwrapErr};
use rand_core_0_6::OsRng;
use voprf::{Ristretto255, VoprfClient, VoprfServer};
use wugan_matcher::join;
use wugan_protocol::{
    file::Header,
    oprf::{
        BatchContext, BatchSeed, Elements, MatchingKey, NonceKey, PreparedKey, SecretKey, blind, curve_backend,
        evaluate, evaluate_direct, prove, verify,
    },
    run::{FileWriter, Pool, Records, record},
    tag::TagContext,
};

/// People in a batch.
const PEOPLE: usize = 1_024;
/// Records and pool tags of a join.
const TAGS: u32 = 100_000;

fn people() -> Vec<[u8; 24]> {
    let person = |number| {
        let mut input = [0; 24];
        input.copy_from_slice(format!("cn-id:3416991950{number:08}").as_bytes());
        input
    };
    (0..PEOPLE).map(person).collect()
}

fn unit(c: &mut Criterion) {
    println!("curve backend: {}", curve_backend());
    let scalar = Scalar::random(&mut UnwrapErr(SysRng));
    let point = RistrettoPoint::random(&mut UnwrapErr(SysRng));
    c.bench_function("V: variable-base multiplication (curve25519-dalek)", |b| {
        b.iter(|| black_box(point) * black_box(scalar))
    });
}

fn ours(c: &mut Criterion) {
    let mut group = c.benchmark_group("OPRF, per person");
    group.sample_size(10).throughput(Throughput::Elements(PEOPLE as u64));
    let (people, seed) = (people(), BatchSeed::from_bytes([7; 32]));
    let key = SecretKey::generate(&mut UnwrapErr(SysRng));
    let nonce = NonceKey::generate(&mut UnwrapErr(SysRng));
    let context = BatchContext { federation: [1; 32], source: 2, owner: 3, epoch: 1, batch: 0 };
    group.bench_function("wugan: blind", |b| b.iter(|| blind(&seed, &people, PEOPLE).unwrap()));
    let batch = blind(&seed, &people, PEOPLE).unwrap();
    let sent = batch.sent().as_slice().to_vec();
    let answer = || {
        let elements = Elements::decode(&sent).unwrap();
        let evaluated = evaluate(&key, &elements);
        let proof = prove(&key, &context, &elements, &evaluated, &nonce, &[9; 32]);
        (evaluated, proof)
    };
    group.bench_function("wugan: evaluate and prove", |b| b.iter(answer));
    let (evaluated, proof) = answer();
    let source = PreparedKey::new(key.public().clone());
    group.bench_function("wugan: verify and finalize", |b| {
        b.iter(|| verify(&source, &context, &batch, &evaluated, &proof).unwrap().finalize());
    });
    group.bench_function("wugan: direct evaluation", |b| b.iter(|| evaluate_direct(&key, &people)));
    group.finish();
}

fn peer(c: &mut Criterion) {
    let mut group = c.benchmark_group("OPRF, per person");
    group.sample_size(10).throughput(Throughput::Elements(PEOPLE as u64));
    let people = people();
    let server = VoprfServer::<Ristretto255>::new(&mut OsRng).unwrap();
    let blind =
        || people.iter().map(|p| VoprfClient::<Ristretto255>::blind(p, &mut OsRng).unwrap()).collect::<Vec<_>>();
    group.bench_function("voprf: blind", |b| b.iter(blind));
    let (clients, messages): (Vec<_>, Vec<_>) = blind().into_iter().map(|b| (b.state, b.message)).unzip();
    group.bench_function("voprf: evaluate and prove", |b| {
        b.iter(|| server.batch_blind_evaluate(&mut OsRng, &messages).unwrap());
    });
    let answer = server.batch_blind_evaluate(&mut OsRng, &messages).unwrap();
    let (key, inputs) = (server.get_public_key(), people.iter().map(|p| &p[..]).collect::<Vec<_>>());
    group.bench_function("voprf: verify and finalize", |b| {
        b.iter(|| {
            let outputs = VoprfClient::batch_finalize(&inputs, &clients, &answer.messages, &answer.proof, key).unwrap();
            outputs.map(Result::unwrap).collect::<Vec<_>>()
        });
    });
    group.bench_function("voprf: direct evaluation", |b| {
        b.iter(|| people.iter().map(|p| server.evaluate(p).unwrap()).collect::<Vec<_>>());
    });
    group.finish();
}

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("bulk, per item");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(TAGS)));
    let keys: Vec<MatchingKey> = (0..TAGS).map(|n| MatchingKey::from_bytes(wide(n))).collect();
    let context = TagContext { round: [5; 16], group: 0, channel: 7 };
    group.bench_function("tags", |b| b.iter(|| keys.iter().map(|key| context.tag(key)).collect::<Vec<_>>()));
    let mut tags: Vec<[u8; 12]> = keys.iter().map(|key| context.tag(key)).collect();
    group.bench_function("sort tags", |b| {
        b.iter_batched(|| tags.clone(), |mut t| t.sort_unstable(), BatchSize::LargeInput)
    });
    tags.sort_unstable();
    let header = Header { salt: [0; 32], count: u64::from(TAGS), rows: Vec::new() };
    let (mut pool, mut records) =
        (FileWriter::begin(Vec::new(), &header).unwrap(), FileWriter::begin(Vec::new(), &header).unwrap());
    for (handle, tag) in (0..).zip(&tags) {
        pool.write(tag).unwrap();
        records.write(&record(*tag, handle)).unwrap();
    }
    let (pool, records) = (pool.finish().unwrap().0, records.finish().unwrap().0);
    group.bench_function("merge join", |b| {
        b.iter(|| {
            let mut met = 0_u32;
            let (mut records, mut pool) =
                (Records::open(Cursor::new(&records)).unwrap(), Pool::open(Cursor::new(&pool)).unwrap());
            join(&mut records, &mut pool, |_, hit| {
                met += u32::from(hit);
                Ok(())
            })
            .unwrap();
            met
        });
    });
    group.finish();
}

fn wide(number: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

criterion_group!(benches, unit, ours, peer, bulk);
criterion_main!(benches);
