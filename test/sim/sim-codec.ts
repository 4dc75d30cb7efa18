/** A codec that stores instead of compressing: a world writes some hundred small sections, and their size is not its subject. */
import { CinderError } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'

export function createSimCodec(): Codec {
  return {
    gunzip: refuse,
    gzip: refuse,
    zstdCompress: (bytes) => bytes.slice(),
    zstdDecompress(bytes, outputBytes) {
      if (bytes.length !== outputBytes)
        throw new CinderError('data_loss', `a frame of ${bytes.length} bytes, its section says ${outputBytes}`)
      return bytes.slice()
    },
  }
}

function refuse(): never {
  throw new CinderError('internal', 'clients of a world send plain profiles')
}
