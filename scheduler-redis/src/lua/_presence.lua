-- Whether the lease's holder is there. It keeps a subscription to a channel of its own: moments after
-- its process was killed, the server counts no subscriber any more. (A frozen one stays.)

-- "here", "gone"; or "unknown" where the holder of `token` has not announced itself, or this user
-- may not ask.
local function presence(token)
  if redis.call('GET', K.attended) ~= token then
    return 'unknown'
  end
  local channel = K.alive .. ':' .. string.match(token, '^%S+')
  local count = redis.pcall('PUBSUB', 'NUMSUB', channel)
  if type(count) ~= 'table' or count.err then
    return 'unknown'
  end
  return count[2] > 0 and 'here' or 'gone'
end
