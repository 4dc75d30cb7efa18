/**
 * Names of frames in graphs, as readers of Graphviz output from pprof know them.
 *
 *   name     address in 16 hex digits if there is one, function, `file:line` or file; the binary if nothing else is known
 *   label    the same on lines of their own, the function without its package path, the file without its folders
 */

export interface FrameInfo {
  readonly address: bigint
  readonly name: string
  readonly file: string
  readonly line: bigint
  /** Only of frames without a function name. */
  readonly binary: string
}

function partsOf({ address, name, file, line, binary }: FrameInfo): string[] {
  const parts: string[] = []
  if (address !== 0n) parts.push(address.toString(16).padStart(16, '0'))
  if (name !== '') parts.push(name)
  if (line !== 0n) parts.push(`${file}:${line}`)
  else if (file !== '') parts.push(file)
  else if (name === '') parts.push(binary === '' ? '<unknown>' : `[${baseName(binary)}]`)
  return parts
}

export function frameName(frame: FrameInfo): string {
  return partsOf(frame).join(' ')
}

/** Text of a DOT label: escaped, ends with a line break. */
export function frameLabel(frame: FrameInfo): string {
  const name = escapeDot(shortFunctionName(frame.name))
    .replaceAll('::', '\\n')
    .replaceAll('[...]', '[…]')
    .replaceAll('.', '\\n')
  const file = frame.file === '' ? '' : escapeDot(baseName(frame.file))
  return `${partsOf({ ...frame, name, file }).join('\\n')}\\n`
}

/** Backslashes and quotes are escaped, line breaks align to the left. */
export function escapeDot(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\l')
}

export function baseName(path: string): string {
  const bare = path.replace(/\/+$/, '')
  if (bare === '') return path === '' ? '' : '/'
  return bare.slice(bare.lastIndexOf('/') + 1)
}

/** Without doubled slashes, `.` and `..`, as file names are compared. */
export function cleanPath(path: string): string {
  if (path === '') return ''
  const isRooted = path.startsWith('/')
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop()
    else if (!isRooted) kept.push('..')
  }
  const clean = `${isRooted ? '/' : ''}${kept.join('/')}`
  return clean === '' ? '.' : clean
}

const ANONYMOUS_NAMESPACE = '(anonymous namespace)::'
/** `/v2` of a module path. */
const GO_VERSION = /\/v(?:[2-9]|[1-9]\d+)(?=[./])/
const GO_FOLDERS = /^(?:[\w.-]+\/)+/
const LINE_ENDS = '\n\r\u2028\u2029'
const JAVA_METHOD = /^(?:[a-z]\w*\.)*([A-Z][\w$]*\.(?:<init>|[a-z][\w$]*))(?=\(|$)/
const CPP_METHOD = /^(?:[A-Za-z_]\w*::)+(_*[A-Z]\w*::~?[A-Za-z_]\w*(?:<.*>)?)/

/**
 * As many folders as leave a package, a dot and a name. From the last folder back, with the first dot behind it at hand: a
 * regular expression looks for that dot anew from every folder, half a second for a name of 60 KB.
 */
export function withoutGoFolders(name: string): string {
  let end = GO_FOLDERS.exec(name)?.[0].length ?? 0
  let dot = name.indexOf('.', end)
  while (end > 0) {
    const isNamed = dot > end && dot + 1 < name.length && !LINE_ENDS.includes(name[dot + 1]!)
    if (isNamed) return name.slice(end)
    const start = name.lastIndexOf('/', end - 2) + 1
    const inFolder = name.slice(start, end).indexOf('.')
    if (inFolder >= 0) dot = start + inFolder
    end = start
  }
  return name
}

/** Without what says where a function is defined and not what it is: folders, versions, packages, namespaces. */
function shortFunctionName(name: string): string {
  const inNamespace = name.startsWith(ANONYMOUS_NAMESPACE) ? name.slice(ANONYMOUS_NAMESPACE.length) : name
  const unversioned = inNamespace.replace(GO_VERSION, '')
  const ofGo = withoutGoFolders(unversioned)
  if (ofGo !== unversioned) return ofGo
  return JAVA_METHOD.exec(unversioned)?.[1] ?? CPP_METHOD.exec(unversioned)?.[1] ?? unversioned
}
