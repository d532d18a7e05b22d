-- Whether a shard is in the generation that a caller takes part in, and ready. `meta` says which it is in, and
-- from when on runs may be claimed and the lease taken.

-- What a call gets that needs a shard which somebody has attached to this server: the connection does
-- that and asks again.
local function unattached()
  return redis.error_reply('UNATTACHED nobody has taken note of this server')
end

-- Whether the caller takes part; and when it is ready.
local function takes_part(generation)
  local meta = redis.call('HMGET', K.meta, 'generation', 'ready_at')
  return meta[1] == generation, meta[2]
end
