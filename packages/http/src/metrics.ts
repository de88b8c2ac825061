// What a server counts, and the same as text for Prometheus.

const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/**
 * What a server has counted since it was started: `server.metrics`.
 *
 * @category Logs and metrics
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * await using server = await serve({ port: 0, fetch: () => new Response("Hello") });
 * await fetch(server.url);
 * console.log(server.metrics.requests, server.metrics.text());
 * ```
 */
export class Metrics {
  /** Connections that were accepted. */
  connections = 0;
  /** Connections that were refused because of a limit. */
  connectionsRefused = 0;
  /** Connections that have failed by the system or the IO, and not by their clients. */
  connectionsFailed = 0;
  /** Connections that are open. */
  connectionsOpen = 0;
  /** Requests that a handler was called for. */
  requests = 0;
  /** Requests that were malformed, too large, too slow or cut off. */
  requestsRefused = 0;
  /** Bytes that were received. */
  receivedBytes = 0;
  /** Bytes that were sent. */
  sentBytes = 0;
  /** Answers by the class of their status: `responses[2]` are those from 200 to 299. */
  readonly responses: number[] = [0, 0, 0, 0, 0, 0];

  /** @internal */
  countStatus(status: number): void {
    const row = Math.min(5, (status / 100) | 0);
    this.responses[row] = this.responses[row]! + 1;
  }

  /** In the text format of Prometheus, for an answer of "text/plain; version=0.0.4". */
  text(): string {
    const rows: [name: string, kind: string, help: string, value: number][] = [
      ["connections_total", "counter", "Connections accepted.", this.connections],
      ["connections_refused_total", "counter", "Refused by a limit.", this.connectionsRefused],
      ["connections_failed_total", "counter", "Failed, not by the client.", this.connectionsFailed],
      ["connections_open", "gauge", "Connections open.", this.connectionsOpen],
      ["requests_total", "counter", "Requests handled.", this.requests],
      ["requests_refused_total", "counter", "Requests refused.", this.requestsRefused],
      ["received_bytes_total", "counter", "Bytes received.", this.receivedBytes],
      ["sent_bytes_total", "counter", "Bytes sent.", this.sentBytes],
    ];
    const lines = rows.map(
      ([name, kind, help, value]) =>
        `# HELP io_http_${name} ${help}\n# TYPE io_http_${name} ${kind}\n` +
        `io_http_${name} ${value}\n`,
    );
    lines.push("# HELP io_http_responses_total Answers by status.\n");
    lines.push("# TYPE io_http_responses_total counter\n");
    for (const [index, name] of CLASSES.entries()) {
      lines.push(`io_http_responses_total{code="${name}"} ${this.responses[index + 1]}\n`);
    }
    return lines.join("");
  }
}
