// Names that are not UTF-8, as text and back.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bytesFromText, textFromBytes } from "./text.js";

const test = suite("text");

function roundTrip(bytes: Uint8Array): void {
  const back = Buffer.from(bytesFromText(textFromBytes(bytes)));
  assert.equal([...back], [...bytes]);
}

test("UTF-8 is text", () => {
  for (const text of ["", "/run/a", "\0name", "äöü", "日本", "😀", "\ufffd"]) {
    assert.is(textFromBytes(Buffer.from(text)), text);
    assert.is(bytesFromText(text), text);
  }
});

test("bytes that are not come back", () => {
  assert.is(textFromBytes(Buffer.of(0x61, 0xff, 0x62)), "a\udcffb");
  for (let first = 0; first < 256; first++) {
    roundTrip(Buffer.of(first));
    for (let second = 0; second < 256; second++) roundTrip(Buffer.of(first, second));
  }
  // Cut, overlong, a surrogate as bytes, beyond Unicode, and mixed with valid text.
  roundTrip(Buffer.of(0xe2, 0x82));
  roundTrip(Buffer.of(0xc0, 0x80, 0xe0, 0x80, 0x80));
  roundTrip(Buffer.of(0xed, 0xb2, 0x80));
  roundTrip(Buffer.of(0xf4, 0x90, 0x80, 0x80, 0xf8));
  roundTrip(Buffer.concat([Buffer.from("/tmp/ä😀"), Buffer.of(0xe4, 0xff), Buffer.from("z")]));
});

test.run();
