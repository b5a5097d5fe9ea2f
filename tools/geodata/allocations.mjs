// Writes crates/geo/data/allocations.bin: the country of every address by the
// registries' allocation statistics, as sorted ranges. See README.md beside
// this file.
//
//   node allocations.mjs DATE
//
// DATE is when the locked version of the crate iptocc, from whose source the
// data are taken, was published. The crate compiles the statistics nightly,
// but its API answers for single addresses only, and a DNS answer needs the
// prefix for which it holds. A test compares the outcome with the crate.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const output = join(root, "crates/geo/data/allocations.bin");
const [date] = process.argv.slice(2);
if (!/^\d{4}-\d{2}-\d{2}$/.test(date ?? "")) throw new Error("usage: node allocations.mjs YYYY-MM-DD");

const NOWHERE = 255;

function iptocc() {
  const json = execFileSync("cargo", ["metadata", "--format-version", "1", "--locked"], {
    cwd: root,
    maxBuffer: 1 << 28,
  });
  const found = JSON.parse(json).packages.find(({ name }) => name === "iptocc");
  return { version: found.version, data: join(dirname(found.manifest_path), "src/data") };
}

// A cursor over little-endian numbers.
class Cursor {
  constructor(path) {
    this.bytes = readFileSync(path);
    this.at = 0;
  }
  u32() {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }
  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  countries() {
    const text = this.take(this.u32() * 2).toString("latin1");
    return text.match(/../g);
  }
}

// Layout of v4.bin: see src/format.rs and src/lib.rs of the crate. One word
// per /16: empty, of one country, or with transitions inside.
function readV4(path) {
  const file = new Cursor(path);
  const first = file.take(65536 * 4);
  const countries = file.countries();
  const mixed = file.u32();
  const bases = file.take((mixed + 1) * 4);
  const initial = file.take(mixed);
  const transitions = file.u32();
  const offsets = file.take(transitions * 2);
  const codes = file.take(transitions);
  const country = (index) => (index === NOWHERE ? null : countries[index]);

  const starts = [];
  for (let top = 0; top < 65536; top++) {
    const word = first.readUInt32LE(top * 4);
    const base = BigInt(top) << 16n;
    const tag = word >>> 30;
    if (tag === 2) starts.push([base, null]);
    else if (tag === 1) starts.push([base, country(word & 0xff)]);
    else {
      const index = word & 0x3fffffff;
      starts.push([base, country(initial[index])]);
      const end = bases.readUInt32LE(index * 4 + 4);
      for (let i = bases.readUInt32LE(index * 4); i < end; i++) {
        starts.push([base | BigInt(offsets.readUInt16LE(i * 2)), country(codes[i])]);
      }
    }
  }
  return starts;
}

// Layout of v6.bin: indices that speed up the search are skipped; what counts
// are the records, grouped by /16, and the side table of irregular ranges.
function readV6(path) {
  const INDEX = 257;
  const file = new Cursor(path);
  const groups = file.take(65536);
  const populated = file.u32();
  const firsts = file.take((populated + 1) * 4);
  file.take(populated * INDEX * 2);
  for (let depth = 0; depth < 2; depth++) {
    const count = file.u32();
    file.take(count * 2 + count * INDEX * 4);
  }
  const countries = file.countries();
  const side = file.take(file.u32() * 33);
  const records = file.take(file.u32() * 6);
  const u128 = (at) => side.readBigUInt64LE(at) | (side.readBigUInt64LE(at + 8) << 64n);

  const ranges = [];
  for (let top = 0; top < 65536; top++) {
    if (groups[top] === NOWHERE) continue;
    const end = firsts.readUInt32LE(groups[top] * 4 + 4);
    for (let i = firsts.readUInt32LE(groups[top] * 4); i < end; i++) {
      const word = records.readUInt32LE(i * 6);
      const length = records[i * 6 + 4];
      if (length === 0) {
        const at = word * 33;
        ranges.push([u128(at), u128(at + 16), countries[side[at + 32]]]);
      } else {
        const start = (BigInt(top) << 112n) | (BigInt(word) << 80n);
        const last = start | ((1n << BigInt(128 - length)) - 1n);
        ranges.push([start, last, countries[records[i * 6 + 5]]]);
      }
    }
  }
  return fillGaps(ranges).map(([start, country]) => {
    if (start & ((1n << 64n) - 1n)) throw new Error("a range starts inside a /64");
    return [start >> 64n, country];
  });
}

function fillGaps(ranges) {
  ranges.sort(([a], [b]) => (a < b ? -1 : 1));
  const starts = [];
  let next = 0n;
  for (const [start, last, country] of ranges) {
    if (start < next) throw new Error("ranges overlap");
    if (start > next) starts.push([next, null]);
    starts.push([start, country]);
    next = last + 1n;
  }
  if (next < 1n << 128n) starts.push([next, null]);
  return starts;
}

function merge(starts) {
  const merged = [];
  for (const [start, country] of starts) {
    const previous = merged.at(-1);
    if (previous?.[0] === start) previous[1] = country;
    else if (!previous || previous[1] !== country) merged.push([start, country]);
  }
  return merged;
}

function u32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}

// A line of text that names the origin; then, little-endian: the number of
// countries, of IPv4 ranges and of IPv6 ranges; two letters per country; the
// first address of each IPv4 range (4 bytes) and its country's index (1 byte,
// 255 for none); the same for IPv6 with the upper half of the address (8).
function encode(origin, v4, v6) {
  const named = [...v4, ...v6].map(([, country]) => country).filter(Boolean);
  const countries = [...new Set(named)].sort();
  if (countries.length >= NOWHERE) throw new Error("too many countries for a byte");
  const index = new Map(countries.map((country, i) => [country, i]));
  const column = (ranges) => Buffer.from(ranges.map(([, country]) => index.get(country) ?? NOWHERE));
  const starts6 = Buffer.alloc(v6.length * 8);
  v6.forEach(([start], i) => starts6.writeBigUInt64LE(start, i * 8));
  return Buffer.concat([
    Buffer.from(`${origin}\n`),
    ...[countries, v4, v6].map(({ length }) => u32(length)),
    Buffer.from(countries.join("")),
    ...v4.map(([start]) => u32(Number(start))),
    column(v4),
    starts6,
    column(v6),
  ]);
}

const { version, data } = iptocc();
const v4 = merge(readV4(join(data, "v4.bin")));
const v6 = merge(readV6(join(data, "v6.bin")));
writeFileSync(output, encode(`iptocc ${version}, ${date}`, v4, v6));
console.log(`iptocc ${version}: ${v4.length} IPv4 and ${v6.length} IPv6 ranges`);
