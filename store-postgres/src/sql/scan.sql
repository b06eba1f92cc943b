SELECT {columns}, entries, {now}($3), id FROM {records}
WHERE id > $1 AND ended_at IS NULL AND {now}($3) < {expiry}
ORDER BY id LIMIT $2
