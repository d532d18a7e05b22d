-- Looks at the lease, as a standby does. Writes nothing.
-- KEYS: leader beat due ranks attended alive
-- ARGV: session
-- Answers: {token or "", beat, head of due or "", now, rank or -1, "here" | "gone" | "unknown"}
local token = held_lease()
local head = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
local rank = redis.call('ZRANK', K.ranks, ARGV[1])
if rank and token then
  local leader = redis.call('ZRANK', K.ranks, string.match(token, '^%S+'))
  if leader and leader < rank then
    rank = rank - 1
  end
end
local there = token and presence(token) or 'unknown'
return { token or '', redis.call('GET', K.beat) or '0', head[2] or '', now(), rank or -1, there }
