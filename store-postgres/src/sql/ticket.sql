SELECT {now}($2), (SELECT fence FROM {fences} WHERE subject = $1)
