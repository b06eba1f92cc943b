-- $1 ids, $2 test clock.
--
-- An array that the planner cannot see into is planned once for every length.
SELECT {columns}, entries, {now}($2), id FROM {records} WHERE id = ANY ((SELECT $1)::bytea[])
