/**
 * What the client gets of one response: packets ready to go, packets held back, and their sequence numbers, which are not the
 * upstream's once packets were joined, split or left out. What a packet means is not known here.
 */
import { ProtocolError } from '../bytes.ts';
import { encodePacket, packetBytesMax, physicalPackets } from './framing.ts';
import { Outbox } from './outbox.ts';

/** Result metadata is held back until its mask plan is known; this bounds what is held. */
const heldBytesMax = 16 * 1024 * 1024;

export class ClientStream {
  /** What is ready for the client. */
  readonly outbox = new Outbox();
  readonly #held = new Outbox();
  #heldBytes = 0;
  /** Added to the upstream's sequence numbers. */
  #shift = 0;
  #next = 0;
  #muted = false;

  /**
   * A response begins. `lastSent` is the sequence number of the request's last packet upstream, `lastReceived` of the client's;
   * `muted`: nothing of it is for the client.
   */
  begin(lastSent: number, lastReceived: number, muted: boolean): void {
    this.#shift = (lastReceived - lastSent) & 0xff;
    this.#next = lastReceived + 1;
    this.#muted = muted;
    this.#heldBytes = 0;
  }

  /** False while the upstream's own packets can go through as they came. */
  get renumbers(): boolean {
    return this.#shift !== 0;
  }

  /** The sequence number of the next packet to the client, behind all that is in the outbox. */
  get nextSequence(): number {
    return this.#next & 0xff;
  }

  /** Bytes of packets that go through as they came; `sequence` is that of the last packet that began. */
  passed(buffer: Buffer, start: number, end: number, sequence: number): void {
    this.#next = sequence + 1;
    this.outbox.range(buffer, start, end);
  }

  /** Appends a packet that keeps its payload. `held`: behind what is held back; ProtocolError when that becomes too much. */
  emit(buffer: Buffer, start: number, end: number, sequence: number, held = false): void {
    if (this.#muted) return;
    if (held) this.#count(end - start);
    const target = held ? this.#held : this.outbox;
    if (end - start >= packetBytesMax) {
      const first = sequence + 1 - physicalPackets(end - start) + this.#shift;
      target.push(encodePacket(buffer.subarray(start, end), first & 0xff));
    } else {
      if (this.#shift !== 0) buffer[start - 1] = (sequence + this.#shift) & 0xff;
      target.range(buffer, start - 4, end);
    }
    if (!held) this.#next = sequence + this.#shift + 1;
  }

  /** Appends another payload (shorter than a physical packet) under the packet's number. */
  push(payload: Buffer, sequence: number, held = false): void {
    if (this.#muted) return;
    if (held) this.#count(payload.length);
    const target = held ? this.#held : this.outbox;
    target.push(encodePacket(payload, (sequence + this.#shift) & 0xff));
    if (!held) this.#next = sequence + this.#shift + 1;
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > heldBytesMax) throw new ProtocolError('result metadata too large');
  }

  /** Metadata begins: what was held before doesn't count. */
  holdAnew(): void {
    this.#heldBytes = 0;
  }

  /** What is held goes out; `next` is the upstream's number of the packet behind it. */
  release(next: number): void {
    if (this.#held.isEmpty) return;
    this.#held.moveTo(this.outbox);
    this.#next = next + this.#shift;
  }

  /** Takes what is held, for somebody who sends it later. */
  takeHeld(): readonly Buffer[] {
    return this.#held.take();
  }

  dropHeld(): void {
    this.#held.clear();
  }

  /** A packet of the upstream's is not for the client. */
  leaveOut(): void {
    this.#shift = (this.#shift - 1) & 0xff;
  }

  /** The client's number for the first physical packet of a payload that came in `joined` of them, the last numbered `sequence`. */
  firstNumber(sequence: number, joined: number): number {
    return (sequence + 1 - joined + this.#shift) & 0xff;
  }

  /** A payload that came in `joined` physical packets went out in `split`, from `first` on. */
  replaced(first: number, joined: number, split: number): void {
    this.#shift = (this.#shift + split - joined) & 0xff;
    this.#next = first + split;
  }
}
