SELECT {columns}, entries, {now}($2), id FROM {records} WHERE subject = $1 AND ended_at IS NULL
