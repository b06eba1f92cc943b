SELECT {columns}, entries, {now}($2) FROM {records} WHERE id = $1
