/**
 * What `perf script` prints of a recording, as a tree with a sample an event.
 *
 *   sh 19371/19371 [002] 58020.089217:     250000 cpu-clock:
 *               7cfd main+0x1d (/usr/bin/dash)
 *       5580a3f4a968 [unknown] ([unknown])
 *
 * 1. An event begins with a line that is not indented: command, process (and thread), processor if it was recorded, time, a
 *    count if there is one, the event's name. Its frames follow, indented, leaf first, up to an empty line.
 * 2. The command is the root of its stacks, so that processes stay apart.
 * 3. A frame is named by its symbol without the offset, and `binary!0xaddress` where no symbol is known.
 *
 * Counts of events are periods of different clocks and are not added up. Lines of comments (`#`) are passed over; any other
 * line that is neither makes the text something else.
 */
import { FunctionTree } from './tree.ts'

const TIME = /^\d+\.\d+:$/
const PROCESSOR = /^\[\d+\]$/
const PROCESS = /^\d+(?:\/\d+)?$/
const ADDRESS = /^[0-9a-f]+$/
const OFFSET = /\+0x[0-9a-f]+$/
/** `perf` cuts deeper stacks itself, at 127 frames unless it is told otherwise. */
const FRAMES_MAX = 4_096

/** undefined: the text is something else. */
export function readPerfScript(text: string): FunctionTree | undefined {
  const tree = new FunctionTree()
  let command: string | undefined
  let frames: string[] = []
  const endEvent = (): void => {
    if (command === undefined) return
    let node = tree.child(0, tree.internText(command))
    for (let i = frames.length - 1; i >= 0; i--) node = tree.child(node, tree.internText(frames[i]!))
    tree.addSelf(node, 1, 0)
    command = undefined
    frames = []
  }
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    if (line.trim() === '') {
      endEvent()
      continue
    }
    const isIndented = line.startsWith(' ') || line.startsWith('\t')
    if (isIndented) {
      const name = command === undefined ? undefined : frameName(line.trim())
      if (name === undefined) return undefined
      if (frames.length < FRAMES_MAX) frames.push(name)
      continue
    }
    endEvent()
    command = commandOf(line)
    if (command === undefined) return undefined
  }
  endEvent()
  return tree.nodeCount > 1 ? tree : undefined
}

/** It may hold spaces: what stands before process, processor and time. undefined: the line begins no event. */
function commandOf(line: string): string | undefined {
  const words = line.split(/\s+/)
  const time = words.findIndex((word) => TIME.test(word))
  if (time < 0) return undefined
  const process = PROCESSOR.test(words[time - 1] ?? '') ? time - 2 : time - 1
  return process > 0 && PROCESS.test(words[process]!) ? words.slice(0, process).join(' ') : undefined
}

/** Of a line such as `7cfd main+0x1d (/usr/bin/dash)`; undefined: it is none. */
function frameName(line: string): string | undefined {
  const gap = line.search(/\s/)
  const address = line.slice(0, gap)
  if (gap < 0 || !ADDRESS.test(address)) return undefined
  const rest = line.slice(gap).trim()
  const open = rest.endsWith(')') ? rest.lastIndexOf(' (') : -1
  const symbol = open < 0 ? rest : rest.slice(0, open)
  if (symbol !== '[unknown]') return symbol.replace(OFFSET, '')
  const file = open < 0 ? '' : rest.slice(rest.lastIndexOf('/') < open ? open + 2 : rest.lastIndexOf('/') + 1, -1)
  return file === '' || file === '[unknown]' ? `0x${address}` : `${file}!0x${address}`
}
