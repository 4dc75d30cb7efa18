import { createMemoryStore } from '#platform/object-store/memory.ts'
import { runObjectStoreContract } from '../../../contract/object-store.ts'

runObjectStoreContract('memory', async () => createMemoryStore())
