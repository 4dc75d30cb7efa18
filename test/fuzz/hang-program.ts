/** A decoder that hangs on its only input, for the suite of the fuzzer. */
import { startHangWatch } from './hang-watch.ts'

const watch = startHangWatch(process.argv[2]!, 200)
watch.begin(new TextEncoder().encode('never'))
for (;;) Math.sqrt(2)
