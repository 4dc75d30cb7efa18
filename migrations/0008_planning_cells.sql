-- Planning above level 1 goes round in cells of (tenant, window start): the first row of a cell in this index has its lowest
-- level, and from there one step leads to the next cell. 7 is the last level.
create index datasets_planning on datasets (tenant, window_start_ms, level) where is_live and level < 7;
drop index datasets_waiting;
