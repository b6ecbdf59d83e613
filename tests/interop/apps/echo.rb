# An echo server and its client in Ruby.    echo.rb serve | call HOST PORT ME
require 'socket'
require 'resolv'

if ARGV[0] == 'serve'
  listener = TCPServer.new('0.0.0.0', 0)
  $stdout.sync = true
  puts "port #{listener.addr[1]}"
  loop do
    Thread.new(listener.accept) do |c|
      puts "#{c.peeraddr(false)[3]} ruby"
      c.write(c.read)
      c.close
    end
  end
end
_, host, port, me = ARGV
20.times.map do
  Thread.new do
    TCPSocket.open(host, port) do |c|
      raise "I am #{c.addr(false)}" unless c.addr(false)[3] == me
      c.write('x' * 100_000)
      c.close_write
      raise 'not all came back' unless c.read.size == 100_000
    end
  end
end.each(&:join)
v4 = Addrinfo.getaddrinfo(host, nil, :INET, :STREAM).first
raise 'connect_timeout' unless Socket.tcp(host, port, connect_timeout: 10) { |c| c.remote_address.ip_address } == v4.ip_address
raise 'getnameinfo' unless v4.getnameinfo.first == host
raise 'resolv, over port 53' unless Resolv::DNS.new.getaddress(host).to_s == v4.ip_address
begin
  TCPSocket.new(host, 64_999)
  raise 'somebody is at 64999'
rescue Errno::ECONNREFUSED
end
