-- Set for an id whose object a rebuild could not read: registered, but nobody knows what it holds, and a commit that meets it
-- is refused. Until now those are told from others by having no row in objects. A later version forgets such rows an hour
-- after a deletion, and programs of this one, which may run beside it during an upgrade, must set the mark by then.
alter table object_ids add column is_unreadable boolean not null default false;
