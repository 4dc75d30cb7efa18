-- A plan of one service read every live dataset of its tenant and range to find it: 60 ms of 5,000 services over a day, now
-- 0.2 ms. For a whole tenant the same index serves by its first column; days are partitions.
create index datasets_by_service on datasets (tenant, service, max_time_ms, min_time_ms) where is_live;
drop index datasets_live;
