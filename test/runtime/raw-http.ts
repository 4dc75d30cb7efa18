/** HTTP by hand, for what `fetch` hides: a body that is never sent, and an answer before it is inflated. */
import { connect } from 'node:net'

/** Sends a head that states a length and no body, as a client does that waits; resolves to the answer's text. */
export function answerToHead(url: string, path: string, contentLength: number): Promise<string> {
  const { hostname, port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, 'X-Scope-OrgID: large', 'Content-Type: application/proto']
      socket.write(`${[...head, `Content-Length: ${contentLength}`].join('\r\n')}\r\n\r\n`)
    })
    socket.setEncoding('utf8').on('error', reject)
    socket.on('data', (chunk: string) => {
      text += chunk
      // An error of ours is one JSON object; the connection may stay open after it.
      if (text.includes('"}')) socket.destroy()
    })
    socket.on('close', () => resolve(text))
  })
}

/** Sends a head and a part of the body that it states, and closes when the kernel has taken them. */
export function leaveMidBody(url: string, path: string, contentLength: number): Promise<void> {
  const { hostname, port, host } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, 'X-Scope-OrgID: left', 'Content-Type: application/proto']
      socket.write(`${[...head, `Content-Length: ${contentLength}`].join('\r\n')}\r\n\r\n`)
      socket.end(new Uint8Array(100_000))
    })
    socket.on('error', reject)
    // An early answer, or nothing: either way the body never ends.
    socket.on('close', () => resolve())
    socket.resume()
  })
}

/** `fetch` inflates an answer and hides that it was compressed; this does not. */
export async function rawAnswer(
  url: string,
  path: string,
  { tenant, body }: { tenant: string; body: string },
): Promise<{ head: string; body: Uint8Array }> {
  const { hostname, port, host } = new URL(url)
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, `X-Scope-OrgID: ${tenant}`, 'Connection: close']
      head.push('Content-Type: application/json', 'Accept-Encoding: gzip', `Content-Length: ${body.length}`)
      socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
    })
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks)))
  })
  const end = bytes.indexOf('\r\n\r\n')
  const head = bytes.subarray(0, end).toString('latin1')
  const rest = bytes.subarray(end + 4)
  return { head, body: /\r\ntransfer-encoding: chunked/i.test(head) ? joinChunks(rest) : rest }
}

function joinChunks(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (length === 0) break
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
  return Buffer.concat(chunks)
}
