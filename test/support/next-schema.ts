/** The schema as the next release may leave it: what it adds must not disturb this program, what it takes away must refuse it. */
import type { Migration } from '#db/migrate.ts'

/** Columns and indexes more on every table of ours, and a table more. */
const EXPANSION = `
  do $$ declare t record; begin
    for t in select c.relname as name from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname <> 'schema_migrations'
    loop
      execute format('alter table %I add column from_the_future text, add column future_flag boolean not null default false', t.name);
      execute format('create index on %I (from_the_future)', t.name);
    end loop;
  end $$;
  create table future_things (id bigserial primary key)`

export function withExpansion(known: readonly Migration[]): Migration[] {
  return [...known, { version: known.length + 1, name: 'next', text: EXPANSION }]
}

/** Takes away the old half of what the expansion replaced: only for programs that know the expansion. */
export function withContraction(known: readonly Migration[]): Migration[] {
  const expanded = withExpansion(known)
  const breaks = String(expanded.length).padStart(4, '0')
  const text = `-- breaks-before: ${breaks}\nalter table writers drop column address`
  return [...expanded, { version: expanded.length + 1, name: 'after_next', text }]
}
