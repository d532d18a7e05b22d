-- Whether a shard is in the generation that a caller takes part in, and ready. `meta` says which it is in, and
-- from when on runs may be claimed and the lease taken.

-- What a call gets that needs a shard which somebody has attached to this server: the connection does
-- that and asks again.
local function unattached()
  return redis.error_reply('UNATTACHED nobody has taken note of this server')
end

-- For how long runs may not be claimed yet, nor the lease taken, in ms. Where more is left than there ever
-- was, the clock went back, and nobody waits for it.
local function grace_left(ready_at, grace, t)
  local left = tonumber(ready_at) - t
  return left <= (tonumber(grace) or 0) and math.max(left, 0) or 0
end

-- Whether the caller takes part; from when on it is ready, and the grace that this is the end of.
local function takes_part(generation)
  local meta = redis.call('HMGET', K.meta, 'generation', 'ready_at', 'grace')
  return meta[1] == generation, meta[2], meta[3]
end
