// The objects whose calls are in the table: one of each class.

import type {
  AcquiredBuffer,
  BorrowedDescriptor,
  BufferGroup,
  ChunkStream,
  DatagramChunk,
  DatagramSocket,
  Directory,
  File,
  IO,
  Listener,
  Notifier,
  PreparedOperation,
  ReceivedDescriptor,
  Scope,
  Signals,
  Socket,
  SocketReader,
  Timer,
  Watch,
} from "@io/core";
import type { Trial } from "../support/harness.js";

export interface Scene {
  readonly io: IO;
  /** One that the program drives itself. */
  readonly detached: IO;
  readonly file: File;
  readonly directory: Directory;
  readonly listener: Listener;
  readonly client: Socket;
  readonly reader: SocketReader;
  readonly datagrams: DatagramSocket;
  readonly group: BufferGroup;
  readonly messages: BufferGroup;
  readonly block: AcquiredBuffer;
  readonly timer: Timer;
  readonly scope: Scope;
  readonly stream: ChunkStream<DatagramChunk>;
  /** A datagram that the stream has given, and that is not released. */
  readonly message: DatagramChunk;
  readonly prepared: PreparedOperation;
  readonly notifier: Notifier;
  readonly signals: Signals;
  readonly borrowed: BorrowedDescriptor;
  readonly received: ReceivedDescriptor;
  readonly watch: Watch;
  readonly path: (name: string) => string;
}

export async function sceneOf(trial: Trial): Promise<Scene> {
  const io = await trial.open();
  const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
  await file.writeAll("content", 0);
  const listener = await io.listen({ port: 0 });
  const connecting = io.connect({ port: listener.address.port });
  await listener.accept();
  const client = await connecting;
  const lender = await io.openDatagram({ host: "127.0.0.1", port: 0 });
  await lender.sendTo("message", lender.localAddress);
  const stream = lender.chunks();
  const { value } = await stream.next();
  const message = value as DatagramChunk;
  trial.defer(() => message.release());
  const [near, far] = io.socketPair();
  await near.sendDescriptors("x", [file]);
  const { descriptors } = await far.receiveDescriptors(new Uint8Array(1));
  await Promise.all([near.close(), far.close()]);
  return {
    io,
    received: descriptors[0] as ReceivedDescriptor,
    detached: await trial.open({ mode: "detached" }),
    file,
    directory: await io.openDirectory(trial.path(".")),
    listener,
    client,
    reader: client.reader(),
    datagrams: await io.openDatagram({ host: "127.0.0.1", port: 0 }),
    group: io.ring.bufferGroup(),
    messages: io.ring.bufferGroup({ messages: true }),
    block: io.buffers.acquire(4096),
    timer: io.timer({ intervalMs: 1000 }),
    scope: io.scope(),
    stream,
    message,
    prepared: file.prepareSync("data"),
    notifier: io.notifier(),
    signals: io.signals(["SIGUSR2"]),
    borrowed: io.borrow(1),
    // Its calls take nothing: where there is none, anything stands for it.
    watch: await io.watch(trial.path(".")).catch(() => Object.create(null) as Watch),
    path: (name) => trial.path(name),
  };
}
