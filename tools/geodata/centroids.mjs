// Writes crates/geo/data/centroids.csv: one representative point per country
// and per state of the United States. See README.md beside this file.

import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { geoArea, geoCentroid, geoContains } from "d3-geo";
import { feature } from "topojson-client";
import countries from "i18n-iso-countries";

const require = createRequire(import.meta.url);
const output = new URL("../../crates/geo/data/centroids.csv", import.meta.url);

// The capital or main settlement of countries and territories that Natural
// Earth draws as a part of another country, or not at all, and of those whose
// largest polygon is far from where most people live (KI).
const BY_HAND = {
  BQ: [12.15, -68.27, "Kralendijk"],
  BV: [-54.42, 3.36, "Bouvet Island"],
  CC: [-12.19, 96.83, "West Island"],
  CX: [-10.42, 105.68, "Flying Fish Cove"],
  GF: [4.0, -53.0, "French Guiana, interior"],
  GP: [16.24, -61.53, "Pointe-à-Pitre"],
  KI: [1.33, 172.98, "Tarawa"],
  MQ: [14.61, -61.07, "Fort-de-France"],
  RE: [-20.88, 55.45, "Saint-Denis"],
  SJ: [78.22, 15.65, "Longyearbyen"],
  TK: [-9.38, -171.22, "Atafu"],
  UM: [19.28, 166.65, "Wake Island"],
  XK: [42.66, 21.17, "Pristina"],
  YT: [-12.78, 45.23, "Mamoudzou"],
};

// Postal codes of the states by their FIPS number, which is what us-atlas has
// as id (Census Bureau, ANSI/FIPS state codes). Territories are countries in
// ISO 3166-1 and come from the world table.
const STATES = {
  "01": "AL", "02": "AK", "04": "AZ", "05": "AR", "06": "CA", "08": "CO",
  "09": "CT", "10": "DE", "11": "DC", "12": "FL", "13": "GA", "15": "HI",
  "16": "ID", "17": "IL", "18": "IN", "19": "IA", "20": "KS", "21": "KY",
  "22": "LA", "23": "ME", "24": "MD", "25": "MA", "26": "MI", "27": "MN",
  "28": "MS", "29": "MO", "30": "MT", "31": "NE", "32": "NV", "33": "NH",
  "34": "NJ", "35": "NM", "36": "NY", "37": "NC", "38": "ND", "39": "OH",
  "40": "OK", "41": "OR", "42": "PA", "44": "RI", "45": "SC", "46": "SD",
  "47": "TN", "48": "TX", "49": "UT", "50": "VT", "51": "VA", "53": "WA",
  "54": "WV", "55": "WI", "56": "WY",
};

// The centroid of the largest polygon: that of the whole shape would put
// France into the Atlantic because of its overseas parts.
function largestPolygon(geometry) {
  const polygons =
    geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return polygons
    .map((coordinates) => ({ type: "Polygon", coordinates }))
    .reduce((a, b) => (geoArea(a) >= geoArea(b) ? a : b));
}

function point(geometry) {
  const polygon = largestPolygon(geometry);
  const [longitude, latitude] = geoCentroid(polygon);
  return { latitude, longitude, inside: geoContains(polygon, [longitude, latitude]) };
}

function row(code, { latitude, longitude }, name, source) {
  const quoted = name.includes(",") ? `"${name}"` : name;
  return `${code},${latitude.toFixed(2)},${longitude.toFixed(2)},${quoted},${source}`;
}

function countryRows() {
  const rows = new Map();
  // The finer file only for what the coarser one lacks.
  for (const scale of ["50m", "10m"]) {
    const world = require(`world-atlas/countries-${scale}.json`);
    for (const shape of feature(world, world.objects.countries).features) {
      const code = countries.numericToAlpha2(shape.id);
      if (!code || rows.has(code) || code in BY_HAND) continue;
      const where = point(shape.geometry);
      if (!where.inside) console.error(`${code}: the centroid lies outside`);
      rows.set(code, row(code, where, name(code), `Natural Earth ${scale}`));
    }
  }
  for (const [code, [latitude, longitude, place]] of Object.entries(BY_HAND)) {
    rows.set(code, row(code, { latitude, longitude }, name(code), `by hand: ${place}`.replaceAll(",", "")));
  }
  return rows;
}

function name(code) {
  return countries.getName(code, "en", { select: "official" }) ?? code;
}

function stateRows() {
  const states = require("us-atlas/states-10m.json");
  const rows = new Map();
  for (const shape of feature(states, states.objects.states).features) {
    const state = STATES[shape.id];
    if (!state) continue;
    const code = `US-${state}`;
    rows.set(code, row(code, point(shape.geometry), shape.properties.name, "US Census 10m"));
  }
  return rows;
}

const rows = [...countryRows(), ...stateRows()].sort(([a], [b]) => (a < b ? -1 : 1));
const missing = Object.keys(countries.getAlpha2Codes()).filter((code) => !rows.some(([c]) => c === code));
if (missing.length > 0) throw new Error(`no point for ${missing.join(" ")}`);
const lines = rows.map(([, line]) => line);
writeFileSync(output, ["code,latitude,longitude,name,source", ...lines, ""].join("\n"));
console.log(`${rows.length} rows`);
